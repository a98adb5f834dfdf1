"""cert-manager's usage words, and the keyUsage bits (RFC 5280 4.2.1.3) and extended key usages (4.2.1.12) they mean."""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from anchorline.errors import InvalidSpec
from anchorline.pki.keys import KeyAlgorithm


class Usage(StrEnum):
    """What a certificate's key may be used for, in cert-manager's words."""

    DIGITAL_SIGNATURE = "digital signature"
    KEY_ENCIPHERMENT = "key encipherment"
    KEY_AGREEMENT = "key agreement"
    CONTENT_COMMITMENT = "content commitment"
    DATA_ENCIPHERMENT = "data encipherment"
    CERT_SIGN = "cert sign"
    CRL_SIGN = "crl sign"
    SERVER_AUTH = "server auth"
    CLIENT_AUTH = "client auth"
    CODE_SIGNING = "code signing"
    EMAIL_PROTECTION = "email protection"
    TIMESTAMPING = "timestamping"
    OCSP_SIGNING = "ocsp signing"
    ANY = "any"


DEFAULT_USAGES: tuple[str, ...] = (
    Usage.DIGITAL_SIGNATURE,
    Usage.KEY_ENCIPHERMENT,
    Usage.SERVER_AUTH,
    Usage.CLIENT_AUTH,
)

_BITS = {
    Usage.DIGITAL_SIGNATURE: "digital_signature",
    Usage.CONTENT_COMMITMENT: "content_commitment",
    Usage.KEY_ENCIPHERMENT: "key_encipherment",
    Usage.DATA_ENCIPHERMENT: "data_encipherment",
    Usage.KEY_AGREEMENT: "key_agreement",
    Usage.CERT_SIGN: "key_cert_sign",
    Usage.CRL_SIGN: "crl_sign",
}
_PURPOSES = {
    Usage.SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
    Usage.CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
    Usage.CODE_SIGNING: ExtendedKeyUsageOID.CODE_SIGNING,
    Usage.EMAIL_PROTECTION: ExtendedKeyUsageOID.EMAIL_PROTECTION,
    Usage.TIMESTAMPING: ExtendedKeyUsageOID.TIME_STAMPING,
    Usage.OCSP_SIGNING: ExtendedKeyUsageOID.OCSP_SIGNING,
    Usage.ANY: ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_WORDS = {oid: word for word, oid in _PURPOSES.items()}
# What a key of each algorithm cannot do (RFC 3279 2.3, RFC 5480 3, RFC 8410 5).
_IMPOSSIBLE = {
    KeyAlgorithm.RSA: {Usage.KEY_AGREEMENT},
    KeyAlgorithm.ECDSA: {Usage.KEY_ENCIPHERMENT, Usage.DATA_ENCIPHERMENT},
    KeyAlgorithm.ED25519: {Usage.KEY_ENCIPHERMENT, Usage.DATA_ENCIPHERMENT, Usage.KEY_AGREEMENT},
}


def leaf_usages(words: Iterable[str]) -> tuple[Usage, ...]:
    """Check a leaf's usage words; raises InvalidSpec for an unknown word, and for signing certificates or CRLs."""
    usages = tuple(dict.fromkeys(map(_usage, words)))
    for usage in (Usage.CERT_SIGN, Usage.CRL_SIGN):
        if usage in usages:
            # RFC 5280 4.2.1.9: without cA in basicConstraints, keyCertSign must not be asserted.
            raise InvalidSpec(f'usage "{usage}" is for certificate authorities; this certificate is not one')
    return usages


def _usage(word: str) -> Usage:
    try:
        return Usage(word)
    except ValueError:
        known = ", ".join(f'"{usage}"' for usage in Usage)
        raise InvalidSpec(f'usage "{word}" is not known: use one of {known}') from None


@lru_cache(maxsize=256)
def key_usage(usages: tuple[str, ...], algorithm: KeyAlgorithm) -> x509.KeyUsage:
    """Set the bits that the words ask for and a key of this algorithm can have; never none (RFC 5280 4.2.1.3)."""
    asked = {Usage(word) for word in usages}
    bits = (asked & _BITS.keys()) - _IMPOSSIBLE[algorithm]
    if Usage.SERVER_AUTH in asked and algorithm is KeyAlgorithm.RSA:
        bits.add(Usage.KEY_ENCIPHERMENT)  # NSS refuses an RSA server without it
    if not bits or asked & {Usage.SERVER_AUTH, Usage.CLIENT_AUTH}:
        bits.add(Usage.DIGITAL_SIGNATURE)  # TLS 1.3 and every (EC)DHE suite sign
    return _key_usage(bits)


def _key_usage(bits: set[Usage]) -> x509.KeyUsage:
    flags = {name: word in bits for word, name in _BITS.items()}
    return x509.KeyUsage(**flags, encipher_only=False, decipher_only=False)


AUTHORITY_KEY_USAGE = _key_usage({Usage.CERT_SIGN, Usage.CRL_SIGN})


@lru_cache(maxsize=256)
def extended_key_usage(usages: tuple[str, ...]) -> x509.ExtendedKeyUsage | None:
    """List the purposes among the words in their order, or None when there are none and so no limit."""
    oids = [_PURPOSES[Usage(word)] for word in usages if word in _PURPOSES]
    return x509.ExtendedKeyUsage(oids) if oids else None


def purposes_among(words: Iterable[str]) -> tuple[str, ...]:
    """Which of the words are purposes (RFC 5280 4.2.1.12), in their order."""
    return tuple(word for word in words if word in _PURPOSES)


def key_usage_words(extension: x509.KeyUsage) -> tuple[str, ...]:
    """Name the bits that a keyUsage extension sets."""
    return tuple(str(word) for word, name in _BITS.items() if getattr(extension, name))


def purpose_words(extension: x509.ExtendedKeyUsage) -> tuple[str, ...]:
    """Name the purposes of an extendedKeyUsage extension; an unknown one keeps its dotted number."""
    return tuple(str(_WORDS.get(oid, oid.dotted_string)) for oid in extension)
