"""A certificate as a value: what is read from it, and who issued it."""

import hashlib
from datetime import timedelta

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support.certificates import DAY, NOW, YEAR, a_bridge, a_chain, a_root, an_intermediate, ec_key

from anchorline import pki
from anchorline.errors import CorruptMaterial

CHAIN = a_chain(ips=("10.0.0.1",), common_name="web")
LEAF, INTERMEDIATE = CHAIN.served
ROOT = CHAIN.root.certificate


def test_its_parts_are_read() -> None:
    assert LEAF.common_name == "web"
    assert LEAF.subject == pki.Subject("web")
    assert LEAF.issuer == INTERMEDIATE.subject
    assert LEAF.issuer_text == "CN=Acme Internal Intermediate 1,O=Acme"
    assert (LEAF.not_before, LEAF.not_after) == (NOW - timedelta(minutes=5), NOW + 30 * DAY)
    assert LEAF.serial_hex == f"{33:x}"
    assert LEAF.authority_key_id == INTERMEDIATE.key_id
    assert LEAF.fingerprint == hashlib.sha256(LEAF.der).hexdigest()
    assert LEAF.fingerprint.startswith(LEAF.short_fingerprint)
    assert LEAF.public_key_der == CHAIN.leaf_key.public_key_der
    assert str(LEAF.key_spec) == "ECDSA P-256"
    assert LEAF.purposes == ("server auth", "client auth")
    assert INTERMEDIATE.purposes is None
    assert LEAF.pem.endswith(b"-----END CERTIFICATE-----\n")


def test_what_is_kept_of_a_leaf_is_small_and_knows_what_is_asked_of_leaves() -> None:
    read = pki.Certificate.from_der(LEAF.der)
    small = read.kept()
    assert small is not read
    assert (small, small.names, small.subject, small.not_after) == (LEAF, LEAF.names, LEAF.subject, LEAF.not_after)
    # What is small already, as one that was signed just now, is not made once more.
    assert small.kept() is small
    signed = a_chain().leaf
    assert signed.kept() is signed


def test_it_is_equal_by_its_der() -> None:
    again = pki.Certificate.from_der(LEAF.der)
    assert again == LEAF
    assert hash(again) == hash(LEAF)
    assert LEAF != INTERMEDIATE
    assert LEAF != "leaf"
    assert LEAF.short_fingerprint in repr(LEAF)


@pytest.mark.parametrize("der", [b"", b"0", LEAF.der[:-1], LEAF.der + b"\0", LEAF.pem])
def test_what_is_not_a_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(CorruptMaterial, match="not a readable"):
        pki.Certificate.from_der(der)


def test_its_issuer_is_known_by_name_key_identifier_and_signature() -> None:
    assert LEAF.is_issued_by(INTERMEDIATE)
    assert not LEAF.is_issued_by(ROOT)
    other_key = an_intermediate(CHAIN.root, key=ec_key(9)).certificate
    assert not LEAF.is_issued_by(other_key)
    other_signature = a_root("Acme Internal Intermediate 1", ec_key(2)).certificate
    assert LEAF.is_issued_by(other_signature)
    assert not pki.Certificate.from_der(LEAF.der[:-3] + bytes(3)).is_issued_by(INTERMEDIATE)


def test_only_a_root_is_self_signed() -> None:
    bridge = a_bridge()
    assert ROOT.is_self_signed
    assert [c.is_self_signed for c in (LEAF, INTERMEDIATE, bridge.cross)] == [False] * 3
    assert not pki.Certificate.from_der(ROOT.der[:-3] + bytes(3)).is_self_signed


def test_it_is_valid_from_first_to_last_second() -> None:
    second = timedelta(seconds=1)
    assert LEAF.valid_at(LEAF.not_before)
    assert LEAF.valid_at(LEAF.not_after)
    assert not LEAF.valid_at(LEAF.not_before - second)
    assert not LEAF.valid_at(LEAF.not_after + second)


def test_it_knows_its_key() -> None:
    assert LEAF.matches(CHAIN.leaf_key)
    assert not LEAF.matches(ec_key(9))


def test_a_bare_certificate_has_empty_parts() -> None:
    name, key = pki.Subject("bare").to_x509(), ec_key(1)
    builder = x509.CertificateBuilder(name, name, key.signing_key.public_key(), 1, NOW, NOW + DAY)
    bare = pki.Certificate.wrap(builder.sign(key.signing_key, hashes.SHA256()))
    assert (bare.key_id, bare.authority_key_id, bare.usages, bare.purposes) == ("", "", (), None)
    assert (bare.is_ca, bare.path_length, bare.can_sign_certificates) == (False, None, False)
    assert not bare.has_other_constraints
    assert bare.parsed.serial_number == 1


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_public_root_is_read_and_is_self_signed() -> None:
    """Some of them are signed with SHA-1, which the library refuses to verify."""
    with open(certifi.where(), "rb") as file:  # noqa: PTH123
        roots = pki.decode_certificates(file.read())
    bundle = pki.TrustBundle.of(roots, now=None)
    assert len(bundle) == len(roots) > 100
    old = [root for root in roots if root.parsed.signature_algorithm_oid.dotted_string == "1.2.840.113549.1.1.5"]
    broken = old[0].der[:-3] + bytes(3)
    assert not pki.Certificate.from_der(broken).is_self_signed
    assert YEAR > DAY


def test_a_key_of_another_algorithm_is_still_a_certificate() -> None:
    from cryptography.hazmat.primitives.asymmetric import ed448

    key, name = ed448.Ed448PrivateKey.generate(), pki.Subject("Ed448").to_x509()
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + DAY)
    der = builder.sign(key, None).public_bytes(serialization.Encoding.DER)
    certificate = pki.Certificate.from_der(der)
    assert certificate.is_self_signed
    assert "of another algorithm" in pki.describe(certificate)
