"""A cluster to rotate in, and how long a rotation goes on when nobody interferes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.support.builders import a_certificate, a_namespace, a_private_ca
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_notes import demand

from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase
from anchorline.kube import views
from anchorline.plan.authority import BRIDGE_MARGIN
from anchorline.plan.findings import soonest

SPACES = ("shop", "billing", "tools")
CAS = ("internal", "partners")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = 600


def ca(name: str, **spec: Any) -> dict[str, Any]:
    """A PrivateCA whose rotations take days, not months."""
    usual: dict[str, Any] = {
        "leaf": {"duration": "24h"},
        "intermediate": {"validity": "240h"},
        "rotation": {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"},
    }
    return a_private_ca(name, **(usual | spec))


def certificate(name: str, space: str, ca: str = "internal", **spec: Any) -> dict[str, Any]:
    """A Certificate for its own Service."""
    return a_certificate(name, space, ca=ca, dnsNames=[f"{name}.{space}.svc"], **spec)


def a_world(**spec: Any) -> RotationWorld:
    """Two CAs in shared trust stores, three namespaces, four certificates; nothing is left to do."""
    world = RotationWorld()
    world.put(ca("internal", **spec), ca("partners", root={"validity": "2400h"}))
    world.put(a_namespace("shop", trust="internal,partners"), a_namespace("billing", trust="internal"))
    world.put(a_namespace("tools"))
    world.put(certificate("web", "shop"), certificate("api", "billing"), certificate("db", "billing"))
    world.put(certificate("far", "shop", "partners"))
    world.happened()
    world.settle()
    return world


def a_small_world(**spec: Any) -> RotationWorld:
    """One CA, two namespaces, one certificate."""
    world = RotationWorld()
    world.put(ca("internal", **spec), certificate("web", "shop"))
    world.put(a_namespace("shop", trust="internal"), a_namespace("billing", trust="internal"))
    world.happened()
    world.settle()
    return world


def rotate(world: RotationWorld, reason: str = "because", name: str = "internal", **more: str | None) -> None:
    """A person asks for a new root."""
    world.annotate(ObjectKey("PrivateCA", "", name), **(more or {"rotate": reason}))


def phases(world: RotationWorld, name: str = "internal") -> tuple[tuple[int, Phase], ...]:
    """Live roots and their phases."""
    return tuple((root.generation, root.phase) for root in world.material(name).roots)


def go_on(
    world: RotationWorld,
    until: Callable[[RotationWorld], bool],
    *,
    at_least: timedelta = MINUTE,
    each: Callable[[RotationWorld], object] = lambda _world: None,
) -> None:
    """Settle, wait until a plan wants to look again, and so on, as an operator does that nobody disturbs.

    When nothing is written for long it looks less and less often: whoever polls each minute need not be followed.
    """
    quiet = 0
    for _ in range(STEPS):
        before = len(world.api.writes)
        again = _settled(world)
        quiet = 0 if len(world.api.writes) > before else quiet + 1
        each(world)
        if until(world):
            return
        wait = (again or world.now + DAY) - world.now
        world.later(min(max(wait, at_least * 2 ** min(max(0, quiet - 3), 9)), 4 * HOUR))
        world.judge()
    demand(False, "a rotation makes progress", f"{phases(world)}\n{world.printed()}")


def _settled(world: RotationWorld) -> datetime | None:
    """Work until nothing is left to do; when the first plan wants to look again."""
    while True:
        before = len(world.api.writes), len(world.events)
        plans = [world.reconcile(key) for key in tuple(world.keys())]
        if before == (len(world.api.writes), len(world.events)):
            return soonest(*(plan.look_again for plan in plans))


def one_root(world: RotationWorld) -> bool:
    """Whether no rotation is going on, or a person has to act on it."""
    return all(
        len(world.material(each.metadata.name).roots) == 1 or world.stopped(each.metadata.name)
        for each in world.private_cas()
    )


def judge_settled(world: RotationWorld) -> None:
    """What is true when nothing is left to do (P5, bridges), also for a process that has just started."""
    for ca in world.private_cas():
        trusted = [each.certificate for each in world.material(ca.metadata.name).roots]
        keys = {each.certificate.key_id for each in world.roots.values()}
        for name in () if world.stopped(ca.metadata.name) else world.live(ca.metadata.name):
            chain = world.view(world.api.objects[ObjectKey("Secret", *name)], _chain)
            if chain[0].not_after <= world.now:
                # Nobody verifies it, and who issued it may be gone; but only one that is refused stays like that.
                refused = world.condition(ObjectKey("Certificate", name[0], world.certificate_of(name)))
                demand(refused.get("status") == "False", "what ended is issued anew", str(name))
                continue
            for bridge in (each for each in chain[1:] if each.key_id in keys):
                lasts = world.now < bridge.not_after - BRIDGE_MARGIN
                demand(lasts, "an expired bridge is never served", f"{name} at {world.now}")
                kept = any(root is not None and bridge.is_issued_by(root) for root in trusted)
                demand(kept, "no bridge once the old root is retired", str(name))
    before = len(world.api.writes)
    world.settle()
    demand(len(world.api.writes) == before, "P5", "a settled world was written to")


def _chain(obj: dict[str, Any]) -> Any:
    return views.key_pair(obj)[0]
