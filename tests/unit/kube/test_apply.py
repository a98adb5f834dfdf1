"""What was written is known at once: the next plan does not wait for the event that tells of it."""

import asyncio
from datetime import UTC, datetime

from tests.support import fake_api as fake
from tests.support.builders import a_private_ca

from anchorline.api import codec
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import GenerationStatus, Phase, PrivateCA, PrivateCAStatus
from anchorline.kube.apply import Applier
from anchorline.kube.events import Events
from anchorline.kube.public_roots import public_roots
from anchorline.kube.world import Surroundings, World
from anchorline.plan.actions import Plan, SetStatus

NOW = datetime(2027, 1, 1, tzinfo=UTC)
NEW_ROOT = GenerationStatus(
    number=2,
    phase=Phase.DISTRIBUTING,
    fingerprint="ab",
    subject="CN=Acme",
    not_before=NOW,
    not_after=NOW,
    secret_name="internal-root-2",
)


def test_a_root_that_the_status_remembers_is_remembered_from_the_write_on() -> None:
    async def story() -> PrivateCA:
        async with fake.FakeApi(fake.json_of(a_private_ca())) as api, api.client() as client:
            world = World(client, Surroundings(namespace="ops"), public_roots(), lambda _key: None)
            world.cas["internal"] = codec.decode_resource(PrivateCA, a_private_ca())
            write = SetStatus(
                target=ObjectKey("PrivateCA", "", "internal"), status=PrivateCAStatus(generations=(NEW_ROOT,))
            )
            await Applier(world, lambda: NOW, Events(client, "pod-a")).apply(Plan(actions=(write,)))
            return world.cas["internal"]

    assert asyncio.run(story()).status.generations == (NEW_ROOT,)
