"""Private keys: what is supported, how they are written, and that they never show themselves (P9)."""

import copy
import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, x25519
from tests.support.certificates import ec_key, ed25519_key, key_of

from anchorline import pki
from anchorline.errors import CorruptMaterial, InvalidSpec
from anchorline.pki.keys import load_public_key

KINDS = ["P-256", "P-384", "P-521", "RSA", "Ed25519"]


@pytest.mark.parametrize(
    ("algorithm", "size", "text"),
    [
        (pki.KeyAlgorithm.ECDSA, None, "ECDSA P-256"),
        (pki.KeyAlgorithm.ECDSA, 384, "ECDSA P-384"),
        (pki.KeyAlgorithm.RSA, None, "RSA 2048"),
        (pki.KeyAlgorithm.RSA, 4096, "RSA 4096"),
        (pki.KeyAlgorithm.ED25519, None, "Ed25519"),
        (pki.KeyAlgorithm.ED25519, 0, "Ed25519"),
    ],
)
def test_a_key_spec_has_a_default_size_and_a_name(algorithm: pki.KeyAlgorithm, size: int | None, text: str) -> None:
    assert str(pki.KeySpec.of(algorithm, size)) == text


@pytest.mark.parametrize(
    ("algorithm", "size", "hint"),
    [
        (pki.KeyAlgorithm.ECDSA, 224, "256, 384, 521"),
        (pki.KeyAlgorithm.RSA, 1024, "2048, 3072, 4096"),
        (pki.KeyAlgorithm.ED25519, 256, "no size"),
    ],
)
def test_an_unsupported_size_is_refused_with_the_sizes_there_are(
    algorithm: pki.KeyAlgorithm, size: int, hint: str
) -> None:
    with pytest.raises(InvalidSpec, match=hint):
        pki.KeySpec.of(algorithm, size)


@pytest.mark.parametrize("kind", KINDS)
def test_only_keys_that_clients_refuse_carry_a_warning(kind: str) -> None:
    warning = key_of(kind, 1).spec.warning
    assert (warning is not None) == (kind in {"P-521", "Ed25519"})
    assert warning is None or "refused by browsers" in warning


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", list(pki.KeyEncoding))
def test_a_key_survives_writing_and_reading(kind: str, encoding: pki.KeyEncoding) -> None:
    key = key_of(kind, 1)
    again = pki.PrivateKey.from_pem(key.to_pem(encoding))
    assert again == key
    assert hash(again) == hash(key)
    assert again.fingerprint == key.fingerprint
    assert again != "key"


@pytest.mark.parametrize(
    ("kind", "encoding", "label"),
    [
        ("P-256", pki.KeyEncoding.PKCS1, b"EC PRIVATE KEY"),
        ("RSA", pki.KeyEncoding.PKCS1, b"RSA PRIVATE KEY"),
        ("Ed25519", pki.KeyEncoding.PKCS1, b"BEGIN PRIVATE KEY"),
        ("P-256", pki.KeyEncoding.PKCS8, b"BEGIN PRIVATE KEY"),
    ],
)
def test_the_encoding_is_the_one_asked_for(kind: str, encoding: pki.KeyEncoding, label: bytes) -> None:
    assert label in key_of(kind, 1).to_pem(encoding)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_never_shows_itself(kind: str) -> None:
    key = key_of(kind, 1)
    secret = b"".join(key.to_pem().splitlines()[1:-1]).decode()
    for shown in (repr(key), str(key), f"{key}", f"{[key]}"):
        assert str(key.spec) in shown
        assert key.fingerprint[:16] in shown
        assert not any(secret[at : at + 12] in shown for at in range(len(secret) - 12))


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_is_not_pickled_or_copied(duplicate: object) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        duplicate(ec_key(1))  # type: ignore[operator]


def _pkcs8(raw: object) -> bytes:
    pem = serialization.Encoding.PEM
    return raw.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())  # type: ignore[attr-defined, no-any-return]


def _encrypted() -> bytes:
    return ec_key(1).signing_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )


@pytest.mark.parametrize(
    ("pem", "message"),
    [
        (b"", "not a readable"),
        (b"SECRETSECRET", "not a readable"),
        (ec_key(1).to_pem().replace(b"M", b"?"), "not a readable"),
        (_encrypted(), "encrypted"),
        (_pkcs8(x25519.X25519PrivateKey.generate()), "none of ECDSA"),
        (_pkcs8(ed448.Ed448PrivateKey.generate()), "none of ECDSA"),
    ],
)
def test_an_unreadable_key_is_refused_without_its_bytes(pem: bytes, message: str) -> None:
    with pytest.raises(CorruptMaterial, match=message) as caught:
        pki.PrivateKey.from_pem(pem)
    assert caught.value.__cause__ is None
    assert "SECRET" not in str(caught.value)


def test_a_foreign_kind_of_key_is_not_wrapped() -> None:
    with pytest.raises(InvalidSpec, match="none of ECDSA"):
        pki.PrivateKey.wrap(dsa.generate_private_key(1024))


def test_public_keys_that_cannot_be_certified_are_refused() -> None:
    foreign = ed448.Ed448PrivateKey.generate().public_key()
    der = foreign.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(CorruptMaterial, match="none of ECDSA"):
        load_public_key(der)
    with pytest.raises(CorruptMaterial, match="not a readable"):
        load_public_key(b"0")
    with pytest.raises(InvalidSpec, match="none of"):
        pki.KeySpec.of_public_key(foreign)


def test_the_raw_key_is_there_for_whoever_must_sign() -> None:
    assert isinstance(ec_key(1).signing_key, ec.EllipticCurvePrivateKey)
    assert isinstance(key_of("RSA", 1).signing_key, rsa.RSAPrivateKey)
    assert ed25519_key(1).spec == pki.KeySpec(pki.KeyAlgorithm.ED25519, 0)
