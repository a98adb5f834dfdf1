"""A PrivateCA on a real API server: made, brought, stopped by bad material, taken up again, taken away."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.contract.conftest import Scene, entry, leaf, reissued, serial, verified
from tests.support.certificates import YEAR, a_leaf, a_root, an_intermediate, ec_key
from tests.support.operator import SYSTEM, Object, Operator, Refused, awaited, condition, fresh

from anchorline import pki
from anchorline.kube.objects import encoded

pytestmark = pytest.mark.contract

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251
DAY = timedelta(days=1)


def a_ca(number: int, under: pki.Issuer | None = None, path_length: int = 0) -> pki.Issuer:
    """A CA that somebody has: a root, or an intermediate."""
    name, begin, end = fresh("Brought"), NOW - DAY, NOW + YEAR
    if under is None:
        return a_root(name, ec_key(number), not_before=begin, not_after=end)
    return an_intermediate(
        under, name, ec_key(number), permitted=(), path_length=path_length, not_before=begin, not_after=end
    )


def authority(scene: Scene, name: str) -> Object:
    """An authority's Secret, in the operator's namespace."""
    found = scene.api.get("Secret", name, SYSTEM)
    assert found is not None, f"Secret {name} is gone"
    return found


def secrets_of(scene: Scene, ca: str) -> dict[str, Object]:
    """All Secrets of one authority, by name."""
    found = scene.api.list("Secret", SYSTEM, f"anchorline.dev/authority={ca}")
    return {each["metadata"]["name"]: each for each in found}


def generations(scene: Scene, ca: str) -> list[int]:
    status = scene.resource("PrivateCA", ca)["status"]
    return [each["number"] for each in status.get("generations", [])]


@pytest.fixture
def brought(scene: Scene) -> Iterator["Brought"]:
    """A Secret that somebody brings into the operator's namespace."""
    mine = Brought(scene)
    yield mine
    scene.api.delete("Secret", mine.name, SYSTEM)


class Brought:
    """A CA that a user brings, and the PrivateCA that shall use it."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.name, self.ca = scene, fresh("brought"), fresh("ca")

    def secret(self, *chain: pki.Certificate, key: pki.PrivateKey | bytes, above: bytes = b"") -> None:
        pem = key if isinstance(key, bytes) else key.to_pem()
        data = encoded(**{"tls.crt": b"".join(each.pem for each in chain), "tls.key": pem, "ca.crt": above})
        metadata = {"name": self.name, "namespace": SYSTEM}
        self.scene.api.apply({"kind": "Secret", "metadata": metadata, "data": data})

    def use(self) -> None:
        self.scene.put_ca(self.ca, subject=None, root={"source": "Secret", "secretName": self.name})

    def refused(self, reason: str, *words: str) -> str:
        return self.scene.refused("PrivateCA", self.ca, reason, f"Secret {self.name}", *words)


def test_a_root_and_an_intermediate_are_made(scene: Scene) -> None:
    ca = scene.ca(subject={"commonName": "Acme", "organizations": ["Acme"]}, root={"key": {"algorithm": "RSA"}})
    secrets = secrets_of(scene, ca)
    assert set(secrets) == {f"{ca}-root-1", f"{ca}-intermediate-1-1"}
    assert all(each["immutable"] for each in secrets.values())
    root, between = leaf(secrets[f"{ca}-root-1"]), leaf(secrets[f"{ca}-intermediate-1-1"])
    assert "CN=Acme Root 1" in root.subject.rfc4514_string()
    between.verify_directly_issued_by(root)
    constraints = between.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = [each.value for each in constraints.value.permitted_subtrees or ()]
    assert sorted(permitted) == ["svc", "svc.cluster.local"]
    status = scene.resource("PrivateCA", ca)["status"]
    assert [(each["number"], each["phase"]) for each in status["generations"]] == [(1, "Active")]
    assert status["publicRoots"].startswith("certifi ")
    assert status["generations"][0]["fingerprint"] == root.fingerprint(hashes.SHA256()).hex()


@pytest.mark.usefixtures("counted")
def test_a_new_ca_costs_three_writes(scene: Scene, operator: Operator) -> None:
    operator.idle()
    mark = scene.site.audit.mark()
    ca = scene.ca()
    operator.idle()
    written = [(each.verb, each.resource, each.name) for each in scene.site.writes(mark) if ca in each.name]
    assert written == [
        ("create", "secrets", f"{ca}-root-1"),
        ("create", "secrets", f"{ca}-intermediate-1-1"),
        ("patch", "privatecas", ca),
    ]


def test_name_constraints_can_be_switched_off(scene: Scene) -> None:
    ca = scene.ca(nameConstraints={"enabled": False})
    between = leaf(authority(scene, f"{ca}-intermediate-1-1"))
    with pytest.raises(x509.ExtensionNotFound):
        between.extensions.get_extension_for_class(x509.NameConstraints)


def test_a_brought_root_signs_and_is_left_as_it_was(scene: Scene, brought: Brought, tmp_path: Path) -> None:
    root = a_ca(21)
    brought.secret(root.certificate, key=root.key)
    before = authority(scene, brought.name)
    brought.use()
    scene.ready("PrivateCA", brought.ca)
    secret = scene.issued(brought.ca)
    assert verified(secret, tmp_path).endswith(": OK\n")
    assert entry(secret, "ca.crt") == root.certificate.pem
    assert authority(scene, brought.name) == before
    assert "tls.key" not in authority(scene, f"{brought.ca}-root-1")["data"], "a brought key is never copied"


def test_a_brought_intermediate_signs_with_its_chain(scene: Scene, brought: Brought, tmp_path: Path) -> None:
    root = a_ca(22)
    between = a_ca(23, root)
    brought.secret(between.certificate, key=between.key, above=root.certificate.pem)
    brought.use()
    scene.ready("PrivateCA", brought.ca)
    secret = scene.issued(brought.ca)
    assert verified(secret, tmp_path).endswith(": OK\n")
    chain = x509.load_pem_x509_certificates(entry(secret, "tls.crt"))
    assert chain[1].subject.rfc4514_string() == str(between.certificate.subject)
    assert entry(secret, "ca.crt") == root.certificate.pem
    assert f"{brought.ca}-intermediate-1-1" not in secrets_of(scene, brought.ca)


def test_a_brought_leaf_is_no_ca(brought: Brought) -> None:
    brought.secret(a_leaf(a_ca(24), ec_key(25), not_before=NOW, not_after=NOW + DAY), key=ec_key(25))
    brought.use()
    brought.refused("NotACertificateAuthority", "is not a CA certificate")


def test_a_brought_key_of_another_ca(brought: Brought) -> None:
    root = a_ca(24)
    brought.secret(root.certificate, key=ec_key(25))
    brought.use()
    brought.refused("KeyMismatch", "tls.key does not belong")


def test_a_brought_ca_that_has_expired(brought: Brought) -> None:
    root = a_root(key=ec_key(24), not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    brought.secret(root.certificate, key=root.key)
    brought.use()
    brought.refused("NotACertificateAuthority", "expired at")


def test_a_brought_chain_without_its_root(brought: Brought) -> None:
    between = a_ca(25, a_ca(24))
    brought.secret(between.certificate, key=between.key)
    brought.use()
    brought.refused("MaterialIncomplete", "not self-signed", "ca.crt")


def test_a_brought_chain_out_of_order(brought: Brought) -> None:
    root = a_ca(24)
    upper = a_ca(25, root, 1)
    lower = a_ca(26, upper)
    brought.secret(lower.certificate, root.certificate, upper.certificate, key=lower.key)
    brought.use()
    brought.refused("MaterialIncomplete")


def test_brought_bytes_that_are_no_key(brought: Brought) -> None:
    root = a_ca(24)
    brought.secret(root.certificate, key=b"-----BEGIN NONSENSE-----")
    brought.use()
    brought.refused("CorruptMaterial")


def test_a_missing_secret_is_named_and_found_when_it_comes(scene: Scene, brought: Brought) -> None:
    brought.use()
    brought.refused("SecretNotFound", "create it there")
    root = a_ca(27)
    brought.secret(root.certificate, key=root.key)
    scene.put_ca(
        brought.ca, subject=None, root={"source": "Secret", "secretName": brought.name}, leaf={"duration": "1h"}
    )
    scene.ready("PrivateCA", brought.ca)


def replaced(scene: Scene, secret: Object, data: Object) -> None:
    """Put another Secret in the place of an immutable one, as a restore from a bad backup does."""
    metadata = {key: secret["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    scene.api.delete("Secret", metadata["name"], SYSTEM)
    new = {"kind": "Secret", "metadata": metadata, "data": data, "immutable": True}
    awaited(lambda: created(scene, new), "the place is free")


def created(scene: Scene, obj: Object) -> bool:
    """Create an object; False when it is there."""
    try:
        scene.api.create(obj)
    except Refused as error:
        if not str(error).startswith("409"):
            raise
        return False
    return True


def test_corrupt_material_stops_this_ca_and_nothing_else(scene: Scene, operator: Operator) -> None:
    ca, other = scene.ca(), scene.ca()
    kept = scene.issued(ca)
    secret = authority(scene, f"{ca}-root-1")
    data = {"tls.crt": secret["data"]["tls.crt"], "tls.key": base64.b64encode(b"broken").decode()}
    replaced(scene, secret, data)
    scene.refused("PrivateCA", ca, "CorruptMaterial", f"{ca}-root-1", "restore it from a backup")
    scene.certificate(ca, "later")
    scene.refused("Certificate", "later", "AuthorityNotReady", ca)
    scene.issued(other, "elsewhere")
    operator.idle()
    assert authority(scene, f"{ca}-root-1")["data"] == data, "nothing is written over it"
    assert set(secrets_of(scene, ca)) == {f"{ca}-root-1", f"{ca}-intermediate-1-1"}
    assert serial(scene.secret()) == serial(kept)
    assert condition(scene.resource("Certificate", "web"), "Ready")["status"] == "True"
    replaced(scene, secret, secret["data"])
    scene.ready("PrivateCA", ca)
    scene.ready("Certificate", "later")
    assert serial(scene.secret()) == serial(kept)


def test_a_key_of_another_in_an_authority_secret(scene: Scene) -> None:
    ca = scene.ca()
    secret = authority(scene, f"{ca}-root-1")
    replaced(scene, secret, {**secret["data"], "tls.key": base64.b64encode(ec_key(3).to_pem()).decode()})
    scene.refused("PrivateCA", ca, "CorruptMaterial", f"{ca}-root-1", "does not belong")


def test_a_lost_root_is_not_made_again(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    kept = scene.issued(ca)
    secret = authority(scene, f"{ca}-root-1")
    scene.api.delete("Secret", f"{ca}-root-1", SYSTEM)
    scene.refused("PrivateCA", ca, "MaterialIncomplete", f"{ca}-", "Nothing is made in its place")
    operator.idle()
    assert set(secrets_of(scene, ca)) == {f"{ca}-intermediate-1-1"}
    assert generations(scene, ca) == [1]
    replaced(scene, secret, secret["data"])
    scene.ready("PrivateCA", ca)
    assert serial(scene.secret()) == serial(kept)


def test_a_lost_intermediate_is_made_anew_and_its_leaves_are_reissued(scene: Scene, tmp_path: Path) -> None:
    ca = scene.ca()
    kept = scene.issued(ca)
    old = leaf(authority(scene, f"{ca}-intermediate-1-1"))
    scene.api.delete("Secret", f"{ca}-intermediate-1-1", SYSTEM)
    after = reissued(scene, kept)
    assert verified(after, tmp_path).endswith(": OK\n")
    (new,) = (leaf(each) for name, each in secrets_of(scene, ca).items() if "intermediate" in name)
    assert new.public_key() != old.public_key()


def test_a_retained_ca_is_taken_up_again(scene: Scene, operator: Operator) -> None:
    ca = scene.ca(deletionPolicy="Retain")
    kept = scene.issued(ca)
    before = secrets_of(scene, ca)
    scene.api.delete("PrivateCA", ca)
    awaited(
        lambda: condition(scene.resource("Certificate", "web"), "Issuing").get("reason") == "AuthorityNotFound",
        "the Certificate says that its CA is gone",
    )
    assert condition(scene.resource("Certificate", "web"), "Ready")["status"] == "True", "it is still valid"
    issued = operator.issued()
    scene.put_ca(ca, deletionPolicy="Retain")
    scene.ready("PrivateCA", ca)
    awaited(
        lambda: condition(scene.resource("Certificate", "web"), "Issuing").get("reason") == "Issued",
        "the Certificate is content again",
    )
    operator.idle()
    assert operator.issued() == issued
    assert serial(scene.secret()) == serial(kept)
    assert secrets_of(scene, ca) == before
    scene.put_ca(ca, deletionPolicy="Delete")


def test_deletion_policy_delete_takes_the_secrets(scene: Scene) -> None:
    ca = scene.ca(deletionPolicy="Retain")
    scene.put_ca(ca, deletionPolicy="Delete")
    awaited(
        lambda: all(
            each["metadata"]["annotations"]["anchorline.dev/deletion-policy"] == "Delete"
            for each in secrets_of(scene, ca).values()
        ),
        "the policy stands on the Secrets",
    )
    scene.api.delete("PrivateCA", ca)
    awaited(lambda: not secrets_of(scene, ca), "the Secrets are gone")


def test_a_policy_that_grows_beyond_the_constraints_makes_an_intermediate(scene: Scene, tmp_path: Path) -> None:
    ca = scene.ca()
    kept = scene.issued(ca)
    scene.put_ca(ca, policy={"dnsNames": ["*.acme.example"]})
    awaited(lambda: f"{ca}-intermediate-1-2" in secrets_of(scene, ca), "the second intermediate")
    between = leaf(authority(scene, f"{ca}-intermediate-1-2"))
    permitted = between.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    assert "acme.example" in [each.value for each in permitted]
    secret = scene.issued(ca, "edge", dnsNames=["edge.acme.example"])
    assert verified(secret, tmp_path).endswith(": OK\n")
    assert serial(scene.secret()) == serial(kept), "what the first one signed stays valid"
    assert f"{ca}-intermediate-1-1" in secrets_of(scene, ca)
