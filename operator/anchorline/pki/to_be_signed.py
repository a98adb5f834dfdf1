"""A leaf's TBSCertificate (RFC 5280 4.1.2) and the certificate around it, put together from encoded parts (X.690 DER).

The `cryptography` library encodes each name, key and extension, and signs. Its builder would encode all of them anew
for every leaf of an issuer; here those that are the same are encoded once, and what holds them together is written.
"""

from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from anchorline.pki.keys import SigningKey

_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _SEQUENCE = 0x02, 0x03, 0x04, 0x06, 0x30
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION_3 = bytes.fromhex("a003020102")
_EXTENSIONS = 0xA3
_TRUE = bytes.fromhex("0101ff")
_LAST_YEAR_OF_UTC_TIME = 2049
_LONGEST_SHORT = 0x7F
# AlgorithmIdentifiers: RFC 5758 3.2 (ECDSA), RFC 4055 5 (RSA), RFC 8410 3 (Ed25519).
_ECDSA = {
    "sha256": bytes.fromhex("300a06082a8648ce3d040302"),
    "sha384": bytes.fromhex("300a06082a8648ce3d040303"),
    "sha512": bytes.fromhex("300a06082a8648ce3d040304"),
}
_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
_ED25519 = bytes.fromhex("300506032b6570")


def signed(
    key: SigningKey,
    *,
    serial: int,
    issuer: bytes,
    not_before: datetime,
    not_after: datetime,
    subject: bytes,
    public_key: bytes,
    extensions: tuple[bytes, ...],
) -> bytes:
    """Sign a certificate and return its DER; names, key and extensions are given as DER, times as UTC."""
    algorithm = _algorithm(key)
    parts = (
        _VERSION_3,
        _integer(serial),
        algorithm,
        issuer,
        _tlv(_SEQUENCE, _time(not_before) + _time(not_after)),
        subject,
        public_key,
        _tlv(_EXTENSIONS, _tlv(_SEQUENCE, b"".join(extensions))),
    )
    to_be_signed = _tlv(_SEQUENCE, b"".join(parts))
    signature = _signature(key, to_be_signed)
    return _tlv(_SEQUENCE, to_be_signed + algorithm + _tlv(_BIT_STRING, b"\x00" + signature))


def extension(value: x509.ExtensionType, *, critical: bool) -> bytes:
    """Encode an extension (RFC 5280 4.1): the DEFAULT false is left out."""
    flag = _TRUE if critical else b""
    return _tlv(_SEQUENCE, _oid(value.oid) + flag + _tlv(_OCTET_STRING, value.public_bytes()))


def signing_hash(key: SigningKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash that a key signs with: as wide as its curve, SHA-256 for RSA, none for Ed25519."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    match size:
        case 384:
            return hashes.SHA384()
        case 521:
            return hashes.SHA512()
        case _:
            return hashes.SHA256()


def _algorithm(key: SigningKey) -> bytes:
    """The AlgorithmIdentifier (RFC 5280 4.1.1.2) of what a key signs, DER."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _RSA_SHA256
    hashed = signing_hash(key)
    return _ED25519 if hashed is None else _ECDSA[hashed.name]


def _signature(key: SigningKey, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    hashed = signing_hash(key)
    assert hashed is not None  # noqa: S101 - all but Ed25519 have one
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashed)
    # RFC 6979: the same inputs give the same bytes.
    return key.sign(message, ec.ECDSA(hashed, deterministic_signing=True))


def _tlv(tag: int, content: bytes) -> bytes:
    """Tag, length in as few bytes as can be, content (X.690 8.1, 10.1)."""
    size = len(content)
    if size <= _LONGEST_SHORT:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(number: int) -> bytes:
    """A positive INTEGER; the highest bit is its sign (X.690 8.3)."""
    return _tlv(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _time(instant: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from then on (RFC 5280 4.1.2.5)."""
    if instant.year <= _LAST_YEAR_OF_UTC_TIME:
        return _tlv(_UTC_TIME, f"{instant:%y%m%d%H%M%SZ}".encode())
    return _tlv(_GENERALIZED_TIME, f"{instant:%Y%m%d%H%M%SZ}".encode())


@lru_cache(maxsize=32)
def _oid(identifier: x509.ObjectIdentifier) -> bytes:
    """An OBJECT IDENTIFIER (X.690 8.19): base 128, the first two numbers as one."""
    first, second, *rest = map(int, identifier.dotted_string.split("."))
    return _tlv(_OID, b"".join(map(_base_128, (40 * first + second, *rest))))


def _base_128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))
