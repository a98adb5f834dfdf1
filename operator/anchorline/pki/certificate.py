"""A certificate as a value: made from DER, equal by DER, its parts read lazily and in our words."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Self, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import SignatureAlgorithmOID

from anchorline.errors import CorruptMaterial
from anchorline.pki.keys import KeySpec, PrivateKey
from anchorline.pki.names import AlternativeNames, Subject
from anchorline.pki.usages import Usage, key_usage_words, purpose_words

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_LEAST_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_BROKEN = (
    SignatureAlgorithmOID.RSA_WITH_MD5,
    SignatureAlgorithmOID.RSA_WITH_SHA1,
    SignatureAlgorithmOID.ECDSA_WITH_SHA1,
)
Life = tuple[datetime, datetime]
_ASKED_OF_LEAVES = ("fingerprint", "subject", "names", "authority_key_id", "not_before", "not_after")


class Certificate:
    """An X.509 certificate (RFC 5280 4.1); treat as frozen. Equal, and hashed, by its DER."""

    def __init__(self, parsed: x509.Certificate) -> None:
        self._x509 = parsed
        self._small = False
        # Whose signature it is known to carry: both are frozen, so what was true once stays true.
        self._signed_by: Certificate | None = None

    @classmethod
    def wrap(cls, parsed: x509.Certificate, *, signed_by: "Certificate | None" = None) -> Self:
        """Take a certificate of the `cryptography` library that is known to be sound, such as one just signed.

        `signed_by` is the certificate of the key that it was signed with just now, where that is another's.
        """
        certificate = cls(parsed)
        certificate._signed_by = signed_by
        return certificate

    @classmethod
    def signed_leaf(
        cls, der: bytes, signed_by: "Certificate", *, subject: Subject, names: AlternativeNames, life: Life, key_id: str
    ) -> Self:
        """Take a leaf that was signed just now from what is known of it, and need not be read from it again.

        `life` is from notBefore to notAfter, `key_id` that of its issuer in hex.
        """
        certificate = cls.wrap(x509.load_der_x509_certificate(der), signed_by=signed_by)
        certificate._small = True
        known = (hashlib.sha256(der).hexdigest(), subject, names, key_id, *life)
        vars(certificate).update(zip(_ASKED_OF_LEAVES, known, strict=True))
        return certificate

    @classmethod
    def from_der(cls, der: bytes) -> Self:
        """Parse DER without trailing bytes; raises CorruptMaterial when any part that we ever read is malformed."""
        try:
            parsed = x509.load_der_x509_certificate(der)
            # The library parses these lazily: touched here, so that no property of a value can fail later.
            _ = (parsed.subject, parsed.issuer, parsed.not_valid_before_utc, parsed.not_valid_after_utc)
            _ = (parsed.extensions, parsed.public_key(), parsed.signature_algorithm_oid)
        except _UNREADABLE:
            raise CorruptMaterial("the certificate is not a readable X.509 certificate") from None
        return cls(parsed)

    def kept(self) -> Self:
        """The same certificate, small: what is asked of a leaf is worked out, the library's own parts are let go."""
        if self._small:
            return self
        small = type(self)(x509.load_der_x509_certificate(self.der))
        small._signed_by, small._small = self._signed_by, True
        for name in _ASKED_OF_LEAVES:
            vars(small)[name] = getattr(self, name)
        return small

    @property
    def parsed(self) -> x509.Certificate:
        """The certificate as the `cryptography` library has it."""
        return self._x509

    @property
    def der(self) -> bytes:
        """The encoded certificate."""
        return self._x509.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """One CERTIFICATE block: LF, 64 columns, newline at the end (RFC 7468 5.1)."""
        return self._x509.public_bytes(Encoding.PEM)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the DER in lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def short_fingerprint(self) -> str:
        """The first 16 digits of the fingerprint, for people and names of objects."""
        return self.fingerprint[:16]

    @cached_property
    def subject(self) -> Subject:
        """The subject, in the attributes that Subject knows."""
        return Subject.from_x509(self._x509.subject)

    @cached_property
    def issuer(self) -> Subject:
        """The issuer, in the attributes that Subject knows."""
        return Subject.from_x509(self._x509.issuer)

    @property
    def subject_text(self) -> str:
        """The whole subject as RFC 4514 text; for messages."""
        return self._x509.subject.rfc4514_string()

    @property
    def issuer_text(self) -> str:
        """The whole issuer as RFC 4514 text; for messages."""
        return self._x509.issuer.rfc4514_string()

    @property
    def common_name(self) -> str:
        """The subject's common name, or the empty string."""
        return self.subject.common_name

    @cached_property
    def not_before(self) -> datetime:
        """The first instant of validity, UTC."""
        return self._x509.not_valid_before_utc

    @cached_property
    def not_after(self) -> datetime:
        """The last instant of validity, UTC (RFC 5280 4.1.2.5: inclusive)."""
        return self._x509.not_valid_after_utc

    @property
    def serial_hex(self) -> str:
        """The serial number in lower-case hex."""
        return f"{self._x509.serial_number:x}"

    @cached_property
    def key_id(self) -> str:
        """The subject key identifier in hex, or the empty string (RFC 5280 4.2.1.2)."""
        extension = self._extension(x509.SubjectKeyIdentifier)
        return extension.digest.hex() if extension else ""

    @cached_property
    def authority_key_id(self) -> str:
        """The issuer's key identifier in hex, or the empty string (RFC 5280 4.2.1.1)."""
        extension = self._extension(x509.AuthorityKeyIdentifier)
        return (extension.key_identifier or b"").hex() if extension else ""

    @cached_property
    def is_ca(self) -> bool:
        """Whether basicConstraints says so (RFC 5280 4.2.1.9)."""
        extension = self._extension(x509.BasicConstraints)
        return extension is not None and extension.ca

    @cached_property
    def path_length(self) -> int | None:
        """How many intermediates may follow, or None for any number."""
        extension = self._extension(x509.BasicConstraints)
        return extension.path_length if extension else None

    @cached_property
    def can_sign_certificates(self) -> bool:
        """Whether keyUsage is there and has keyCertSign: without it strict clients (Python 3.13) refuse the CA."""
        return Usage.CERT_SIGN in self.usages

    @cached_property
    def strict_fault(self) -> str:
        """What strict clients (Python 3.13, `openssl -x509_strict`) refuse in this CA certificate, "" for nothing."""
        if x509.BasicConstraints.oid not in self.critical_extensions:
            return "has basicConstraints that are not critical"
        if not self.key_id:
            return "has no subject key identifier"
        return "" if self.authority_key_id or self.is_self_signed else "has no authority key identifier"

    @cached_property
    def key_fault(self) -> str:
        """What OpenSSL 3 or Go refuse in the key of this CA certificate, "" for nothing."""
        key = self._x509.public_key()
        if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
            return f"has an RSA key of {key.key_size} bits, which OpenSSL refuses: {_LEAST_RSA_BITS} is the least"
        if isinstance(key, EllipticCurvePublicKey) and key.curve.name not in _CURVES:
            return f"has a key on the curve {key.curve.name}, which Go does not know: use P-256 or P-384"
        # Read here as if they were plain, and written back as such.
        if self.public_key_der not in self._x509.tbs_certificate_bytes:
            return (
                "has a key that Go does not read: for RSA-PSS alone, a compressed point, or a curve as its parameters"
            )
        return ""

    @cached_property
    def has_broken_signature(self) -> bool:
        """Whether it is signed by another with SHA-1 or MD5; what a root signs itself with, no client looks at."""
        return not self.is_self_issued and self._x509.signature_algorithm_oid in _BROKEN

    @cached_property
    def names(self) -> AlternativeNames:
        """The subject alternative names."""
        return AlternativeNames.from_x509(self._x509)

    @cached_property
    def usages(self) -> tuple[str, ...]:
        """Key usages, then purposes, in cert-manager's words."""
        extension = self._extension(x509.KeyUsage)
        return (key_usage_words(extension) if extension else ()) + (self.purposes or ())

    @cached_property
    def purposes(self) -> tuple[str, ...] | None:
        """The extended key usages, or None when there is no such extension and so no limit."""
        extension = self._extension(x509.ExtendedKeyUsage)
        return purpose_words(extension) if extension else None

    @cached_property
    def public_key_der(self) -> bytes:
        """The SubjectPublicKeyInfo (RFC 5280 4.1.2.7)."""
        return self._x509.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @cached_property
    def key_spec(self) -> KeySpec:
        """Algorithm and size of the public key; raises InvalidSpec when it is none of ECDSA, RSA, Ed25519."""
        return KeySpec.of_public_key(self._x509.public_key())

    @cached_property
    def permitted_dns(self) -> tuple[str, ...]:
        """The permitted DNS subtrees; empty when DNS names are not limited (RFC 5280 4.2.1.10)."""
        return self._dns_subtrees(lambda constraints: constraints.permitted_subtrees)

    @cached_property
    def excluded_dns(self) -> tuple[str, ...]:
        """The excluded DNS subtrees."""
        return self._dns_subtrees(lambda constraints: constraints.excluded_subtrees)

    @cached_property
    def has_other_constraints(self) -> bool:
        """Whether there are name constraints on anything but DNS names, which Anchorline neither writes nor checks."""
        extension = self._extension(x509.NameConstraints)
        trees = [*(extension.permitted_subtrees or ()), *(extension.excluded_subtrees or ())] if extension else []
        return any(not isinstance(tree, x509.DNSName) for tree in trees)

    @cached_property
    def constraints_critical(self) -> bool:
        """Whether there are name constraints and they are critical (mbedTLS 2 refuses such chains)."""
        return x509.NameConstraints.oid in self.critical_extensions

    @cached_property
    def critical_extensions(self) -> frozenset[x509.ObjectIdentifier]:
        """The extensions that a verifier must understand or refuse (RFC 5280 4.2)."""
        return frozenset(extension.oid for extension in self._x509.extensions if extension.critical)

    @cached_property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name (RFC 5280 3.2)."""
        return self._x509.subject == self._x509.issuer

    @cached_property
    def is_self_signed(self) -> bool:
        """Whether it is self-issued and its own key verifies its signature."""
        return self.is_self_issued and (self._signature_verifies_under(self) or self._is_signed_with_sha1())

    def is_issued_by(self, other: "Certificate") -> bool:
        """Whether names, key identifiers (where both are there) and signature say so; never raises.

        Says nothing of dates, CA bits or constraints: those are verify_chain's.
        """
        if self._signed_by == other:
            return True
        if self.authority_key_id and other.key_id and self.authority_key_id != other.key_id:
            return False
        if not self._signature_verifies_under(other):
            return False
        self._signed_by = other
        return True

    def matches(self, key: PrivateKey) -> bool:
        """Whether this is the certificate of that private key."""
        return self.public_key_der == key.public_key_der

    def valid_at(self, now: datetime) -> bool:
        """Whether `now` (aware) is in the validity period, both ends included (RFC 5280 4.1.2.5)."""
        return self.not_before <= now <= self.not_after

    def _signature_verifies_under(self, issuer: "Certificate") -> bool:
        """Whether the issuer's name and its key's signature are on it."""
        try:
            self._x509.verify_directly_issued_by(issuer._x509)
        except (InvalidSignature, *_UNREADABLE):
            return False
        return True

    def _is_signed_with_sha1(self) -> bool:
        # Old public and corporate roots are; the library refuses SHA-1, but a root's self-signature proves nothing
        # anyway: a root is trusted because it was chosen.
        key = self._x509.public_key()
        if self._x509.signature_algorithm_oid != SignatureAlgorithmOID.RSA_WITH_SHA1 or not isinstance(
            key, RSAPublicKey
        ):
            return False
        try:
            key.verify(self._x509.signature, self._x509.tbs_certificate_bytes, PKCS1v15(), SHA1())  # noqa: S303
        except InvalidSignature:
            return False
        return True

    def _extension(self, kind: type[_Extension]) -> _Extension | None:
        try:
            return self._x509.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    def _dns_subtrees(self, side: Callable[[x509.NameConstraints], list[x509.GeneralName] | None]) -> tuple[str, ...]:
        extension = self._extension(x509.NameConstraints)
        trees = side(extension) if extension else None
        return tuple(tree.value for tree in trees or () if isinstance(tree, x509.DNSName))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Certificate) and self._x509 == other._x509)

    def __hash__(self) -> int:
        return hash(self._x509)

    def __repr__(self) -> str:
        return f"Certificate(subject='{self.subject_text}', fingerprint='{self.short_fingerprint}')"
