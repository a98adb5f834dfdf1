"""What was written is known at once: the next plan does not wait for the event that tells of it."""

import asyncio
from datetime import UTC, datetime

import orjson
import pytest
from tests.support import fake_api as fake
from tests.support.builders import a_certificate, a_private_ca, edited

from anchorline.api import codec
from anchorline.api.certificate import Certificate, CertificateStatus
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import GenerationStatus, Phase, PrivateCA, PrivateCAStatus
from anchorline.errors import ClusterError, Reason
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


WEB = ObjectKey("Certificate", "shop", "web")
WRITE = SetStatus(target=WEB, status=CertificateStatus(revision=3), replaces="7")


async def with_status_written(answer: fake.Answer) -> tuple[fake.Seen, Certificate | None, ClusterError | None]:
    """Write the status of a Certificate: what was asked for, what is known of it then, and what went wrong."""
    refused = None
    async with fake.FakeApi(answer) as api, api.client() as client:
        world = World(client, Surroundings(namespace="ops"), public_roots(), lambda _key: None)
        world.certificates.put(a_certificate(), "7")
        try:
            await Applier(world, lambda: NOW, Events(client, "pod-a")).apply(Plan(actions=(WRITE,)))
        except ClusterError as error:
            refused = error
        return api.seen[0], world.certificates.get(("shop", "web")), refused


def test_a_certificates_status_is_put_over_the_version_that_was_looked_at() -> None:
    written = edited(a_certificate(), "metadata", "resourceVersion", to="8")
    asked, known, refused = asyncio.run(with_status_written(fake.json_of(written)))
    assert (asked.method, asked.path.rpartition("/")[2]) == ("PUT", "status")
    assert orjson.loads(asked.body) == {
        "apiVersion": "anchorline.dev/v1alpha1",
        "kind": "Certificate",
        "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "7"},
        "status": {"observedGeneration": 0, "revision": 3},
    }
    assert refused is None
    assert known is not None
    assert (known.metadata.resource_version, known.status) == ("8", WRITE.status)


@pytest.mark.parametrize("server_reason", ["Conflict", "NotFound"])
def test_nothing_is_known_of_a_status_that_was_not_taken(server_reason: str) -> None:
    """Somebody was faster: it is looked at again, soon."""
    status = {"Conflict": 409, "NotFound": 404}[server_reason]
    _, known, refused = asyncio.run(with_status_written(fake.refusal(status, server_reason)))
    assert refused is not None
    assert (refused.status, refused.reason == Reason.CONFLICT) == (status, server_reason == "Conflict")
    assert known is not None
    assert (known.metadata.resource_version, known.status) == ("7", CertificateStatus())
