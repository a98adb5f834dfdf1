"""Private keys and what is said about them; the one place that key material may leave by."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from anchorline.errors import CorruptMaterial, InvalidSpec

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_REFUSED_BY_CLIENTS = "{} keys are refused by browsers, gRPC and NSS"


class KeyAlgorithm(StrEnum):
    """The algorithms that a key may have; the words are cert-manager's."""

    ECDSA = "ECDSA"
    RSA = "RSA"
    ED25519 = "Ed25519"


_SIZES = {
    KeyAlgorithm.ECDSA: (256, 384, 521),
    KeyAlgorithm.RSA: (2048, 3072, 4096),
    KeyAlgorithm.ED25519: (0,),
}


class KeyEncoding(StrEnum):
    """How a key is written: PKCS1 is the traditional form (RSA: RFC 8017 A.1.2, EC: RFC 5915), PKCS8 is RFC 5958."""

    PKCS1 = "PKCS1"
    PKCS8 = "PKCS8"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """An algorithm and a size in bits (0 for Ed25519, which has one size); `of` is the constructor that validates."""

    algorithm: KeyAlgorithm
    size: int

    @classmethod
    def of(cls, algorithm: KeyAlgorithm, size: int | None = None) -> Self:
        """Fill in the default size (256, 2048, 0), or raise InvalidSpec naming the sizes that there are."""
        sizes = _SIZES[algorithm]
        if size is None:
            return cls(algorithm, sizes[0])
        if size not in sizes:
            allowed = "no size (0)" if sizes == (0,) else "one of " + ", ".join(map(str, sizes))
            raise InvalidSpec(f"privateKey.size {size} does not fit {algorithm}: use {allowed}")
        return cls(algorithm, size)

    @classmethod
    def of_public_key(cls, key: object) -> Self:
        """Say what a public key is, in whatever size it comes; raises InvalidSpec for an algorithm we do not know."""
        match key:
            case ec.EllipticCurvePublicKey():
                return cls(KeyAlgorithm.ECDSA, key.curve.key_size)
            case rsa.RSAPublicKey():
                return cls(KeyAlgorithm.RSA, key.key_size)
            case ed25519.Ed25519PublicKey():
                return cls(KeyAlgorithm.ED25519, 0)
            case _:
                raise InvalidSpec("the public key is none of ECDSA, RSA and Ed25519")

    @property
    def warning(self) -> str | None:
        """What a user should know before choosing this key, or None when every client takes it."""
        if self.algorithm is KeyAlgorithm.ED25519 or self == KeySpec(KeyAlgorithm.ECDSA, 521):
            return _REFUSED_BY_CLIENTS.format(self)
        return None

    def __str__(self) -> str:
        if not self.size:
            return str(self.algorithm)
        return f"{self.algorithm} {'P-' if self.algorithm is KeyAlgorithm.ECDSA else ''}{self.size}"


class PrivateKey:
    """A private key that does not show itself: not in repr, str, format, pickle or an error message (P9).

    `to_pem` and `signing_key` are the only ways out, so that they can be counted. Equal when the public keys are.
    """

    __slots__ = ("_key", "_spec", "_spki")

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        public_key = key.public_key()
        self._spki, self._spec = public_key_der(public_key), KeySpec.of_public_key(public_key)

    @classmethod
    def wrap(cls, raw: object) -> Self:
        """Take a key of the `cryptography` library; raises InvalidSpec for one that cannot sign certificates here."""
        if not isinstance(raw, SigningKey):
            raise InvalidSpec("the private key is none of ECDSA, RSA and Ed25519")
        return cls(raw)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted key; raises CorruptMaterial with a message that holds none of its bytes."""
        try:
            raw = serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise CorruptMaterial("the private key is encrypted: store it without a passphrase") from None
        except (ValueError, UnsupportedAlgorithm):
            # `from None`: the library's own message may quote what it could not parse.
            raise CorruptMaterial("the private key is not a readable PEM private key") from None
        if not isinstance(raw, SigningKey):
            raise CorruptMaterial("the private key is none of ECDSA, RSA and Ed25519")
        return cls(raw)

    def to_pem(self, encoding: KeyEncoding = KeyEncoding.PKCS8) -> bytes:
        """Write the key unencrypted; Ed25519 has no traditional form and is always PKCS#8 (RFC 8410)."""
        traditional = encoding is KeyEncoding.PKCS1 and not isinstance(self._key, ed25519.Ed25519PrivateKey)
        form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())

    @property
    def signing_key(self) -> SigningKey:
        """The raw key of the `cryptography` library, for whoever must sign or serve with it."""
        return self._key

    @property
    def public_key_der(self) -> bytes:
        """The SubjectPublicKeyInfo (RFC 5280 4.1.2.7)."""
        return self._spki

    @property
    def spec(self) -> KeySpec:
        """Algorithm and size."""
        return self._spec

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo in lower-case hex."""
        return hashlib.sha256(self._spki).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self._spki == other._spki

    def __hash__(self) -> int:
        return hash(self._spki)

    def __repr__(self) -> str:
        return f"PrivateKey(algorithm='{self.spec}', fingerprint='{self.fingerprint[:16]}')"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled or copied")


def public_key_der(key: PublicKey) -> bytes:
    """Write a public key as SubjectPublicKeyInfo (RFC 5280 4.1.2.7)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public_key(der: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo; raises CorruptMaterial when it is none, or of an algorithm we do not sign for."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise CorruptMaterial("the public key is not a readable SubjectPublicKeyInfo") from None
    if not isinstance(key, PublicKey):
        raise CorruptMaterial("the public key is none of ECDSA, RSA and Ed25519")
    return key
