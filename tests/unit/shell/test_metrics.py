"""What a rotation has before it, as a scrape tells it: nothing is done yet while the newest root does not sign."""

from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import MINUTE, a_small_world, phases, rotate

from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase
from anchorline.shell.metrics import Metrics

CA = ObjectKey("PrivateCA", "", "internal")


def scraped(world: RotationWorld) -> dict[str, float]:
    """Each series of a scrape, after the operator has looked at every PrivateCA."""
    for ca in world.private_cas():
        world.watched.cas[ca.metadata.name] = ca
        world.watched.rotations[ca.metadata.name] = world.rotation_seen(ca)
    metrics = Metrics()
    metrics.watch(world.watched, lambda: 0)
    lines = (line for line in metrics.text().decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_certificates_are_pending_until_they_have_left_the_old_root() -> None:
    world, pending = a_small_world(), 'anchorline_rotation_certificates_pending{authority="internal"}'
    assert scraped(world)[pending] == 0
    rotate(world)
    told = scraped(world.settle())
    assert told[pending] == 1
    assert told['anchorline_root_phase{authority="internal",generation="2",phase="Distributing"}'] == 1
    for _ in range(30):
        world.later(MINUTE)
        world.settle()
    told = scraped(world)
    assert phases(world) == ((1, Phase.RETIRING), (2, Phase.ACTIVE))
    assert told[pending] == 0
    assert told['anchorline_root_phase{authority="internal",generation="1",phase="Retiring"}'] == 1


def test_stores_are_pending_while_they_lack_the_new_root() -> None:
    world, pending = a_small_world(), 'anchorline_rotation_stores_pending{authority="internal"}'
    rotate(world)
    world.reconcile(CA)
    assert scraped(world)[pending] == 3  # two trust stores and a ca.crt
    assert scraped(world.settle())[pending] == 0
