"""The operator ends and comes back: nothing is issued or written, and what changed meanwhile is found (P5, P6)."""

from collections.abc import Iterator

import pytest
from tests.contract.conftest import Scene, a_scene, entry, reissued, serial
from tests.support.operator import SYSTEM, Operator, Site, awaited, condition

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def mortal(site: Site) -> Iterator[Operator]:
    """An operator that tests may kill: each leaves it running."""
    process = Operator(site, "pod-mortal")
    try:
        yield process.start()
    finally:
        process.end()


@pytest.fixture
def stage(mortal: Operator) -> Iterator[Scene]:
    """A scene with that operator."""
    yield from a_scene(mortal.site)


def furnished(stage: Scene) -> str:
    """One of everything: a CA, certificates, a trust store, a refusal, a foreign object."""
    ca = stage.ca()
    stage.issued(ca)
    stage.issued(ca, "rsa", privateKey={"algorithm": "RSA"})
    stage.certificate(ca, "refused", dnsNames=["elsewhere.example"])
    stage.refused("Certificate", "refused", "NameNotAllowed")
    stage.api.create({"kind": "Secret", "metadata": {"name": "foreign-tls", "namespace": stage.name}})
    stage.certificate(ca, "foreign")
    stage.refused("Certificate", "foreign", "SecretNotOurs")
    stage.trust(f"{ca},nobody")
    awaited(lambda: stage.labelled, "the trust store, and the label")
    awaited(
        lambda: "all 1 namespaces" in condition(stage.resource("PrivateCA", ca), "Distributed")["message"],
        "the status of the CA",
    )
    return ca


def writes(stage: Scene, mark: int) -> list[tuple[str, str, str, int]]:
    """What operators tried to write, whatever the API server answered."""
    return [(e.verb, e.resource, e.name, e.code) for e in stage.site.writes(mark)]


@pytest.mark.usefixtures("counted")
def test_a_killed_operator_comes_back_and_writes_nothing(stage: Scene, mortal: Operator) -> None:
    furnished(stage)
    assert "nobody" in stage.event(stage.name, "AuthorityNotFound")
    mortal.idle()
    before = [stage.secret(name) for name in ("web-tls", "rsa-tls", "foreign-tls")]
    mark = stage.site.audit.mark()
    mortal.kill()
    mortal.start()
    assert writes(stage, mark) == []
    assert mortal.issued() == 0
    assert [stage.secret(name) for name in ("web-tls", "rsa-tls", "foreign-tls")] == before


@pytest.mark.usefixtures("counted")
def test_a_stopped_operator_ends_at_once_and_gives_its_lease_back(stage: Scene, mortal: Operator) -> None:
    furnished(stage)
    mortal.idle()
    mark = stage.site.audit.mark()
    assert mortal.stop() == 0
    lease = stage.api.get("Lease", "anchorline-operator", SYSTEM)
    assert lease is not None
    assert not lease["spec"].get("holderIdentity")
    mortal.identity = "pod-mortal-again"  # another pod need not wait for the Lease to run out
    mortal.start()
    assert writes(stage, mark) == []


def test_what_was_deleted_meanwhile_is_found(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca()
    kept, gone = stage.issued(ca, "kept"), stage.issued(ca, "gone")
    mortal.kill()
    stage.api.delete("Secret", "kept-tls", stage.name)
    stage.api.delete("Certificate", "gone", stage.name)
    mortal.start()
    reissued(stage, kept, "kept-tls")
    awaited(lambda: stage.api.get("Secret", "gone-tls", stage.name) is None, "the Secret went with its Certificate")
    assert serial(gone) != 0


def test_what_was_edited_meanwhile_is_restored(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca()
    before = stage.issued(ca)
    mortal.kill()
    stage.api.merge("Secret", "web-tls", stage.name, body={"data": {"ca.crt": "bm9uZQ=="}})
    mortal.start()
    awaited(lambda: stage.secret()["data"] == before["data"], "the Secret is as it was")


def test_an_annotation_removed_meanwhile_is_heeded(stage: Scene, mortal: Operator) -> None:
    stage.trust(stage.ca())
    awaited(lambda: stage.labelled, "injection is on")
    mortal.kill()
    stage.trust(None)
    mortal.start()
    awaited(lambda: not stage.labelled and stage.store() is None, "label and store are gone")


def test_a_store_that_was_edited_or_deleted_meanwhile_is_restored(stage: Scene, mortal: Operator) -> None:
    stage.trust(stage.ca())
    awaited(lambda: stage.labelled, "injection is on")
    before = stage.resource("ConfigMap", "anchorline-trust")
    mortal.kill()
    stage.edit_store({"ca-bundle.crt": "x"})
    mortal.start()
    awaited(lambda: (stage.store() or {}).get("data") == before["data"], "the store is as it was")
    mortal.kill()
    stage.edit_store(None)
    mortal.start()
    awaited(lambda: (stage.store() or {}).get("data") == before["data"], "the store is there again")


def test_a_ca_deleted_meanwhile_takes_its_secrets(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca()
    secret = stage.issued(ca)
    mortal.kill()
    stage.api.delete("PrivateCA", ca)
    mortal.start()
    awaited(lambda: not stage.api.list("Secret", SYSTEM, f"anchorline.dev/authority={ca}"), "its Secrets are gone")
    assert entry(stage.secret(), "tls.key") == entry(secret, "tls.key"), "what was issued stays"


def test_a_certificate_made_meanwhile_is_issued(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca()
    mortal.kill()
    for number in range(20):
        stage.certificate(ca, f"waiting-{number}")
    mortal.start()
    for number in range(20):
        stage.ready("Certificate", f"waiting-{number}")
    assert mortal.issued() == 20


def test_killed_in_the_middle_of_its_work_it_issues_each_only_once(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca()
    names = [f"many-{number}" for number in range(40)]
    for name in names:
        stage.certificate(ca, name)
    mortal.kill()
    seen = {name: serial(found) for name in names if (found := stage.api.get("Secret", f"{name}-tls", stage.name))}
    mortal.start()
    for name in names:
        stage.ready("Certificate", name)
        secret = stage.secret(f"{name}-tls")
        assert seen.get(name, serial(secret)) == serial(secret), "what was issued before is left alone"
        assert secret["metadata"]["annotations"]["anchorline.dev/revision"] == "1"


def test_killed_while_a_ca_is_made_it_makes_each_key_only_once(stage: Scene, mortal: Operator) -> None:
    ca = stage.ca(ready=False)
    awaited(lambda: stage.api.get("Secret", f"{ca}-root-1", SYSTEM), "the root")
    mortal.kill()
    before = stage.api.get("Secret", f"{ca}-root-1", SYSTEM)
    mortal.start()
    stage.ready("PrivateCA", ca)
    assert stage.api.get("Secret", f"{ca}-root-1", SYSTEM) == before
    assert len(stage.api.list("Secret", SYSTEM, f"anchorline.dev/authority={ca}")) == 2
