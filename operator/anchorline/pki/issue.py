"""Signing, as a function of profile, key, issuer and serial: the same inputs give the same bytes."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from anchorline.errors import CorruptMaterial, InvalidSpec, Reason
from anchorline.pki import to_be_signed
from anchorline.pki.certificate import Certificate
from anchorline.pki.constraints import dns_violation, identities
from anchorline.pki.keys import KeyAlgorithm, KeySpec, PrivateKey, PublicKey, load_public_key
from anchorline.pki.names import Subject
from anchorline.pki.profiles import IntermediateProfile, LeafProfile, RootProfile
from anchorline.pki.usages import AUTHORITY_KEY_USAGE, extended_key_usage, key_usage

_SERIAL_BYTES, _SERIAL_BITS = 20, 159
_NOT_A_CA = x509.BasicConstraints(ca=False, path_length=None)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA certificate with its key, checked once and prepared to sign many.

    Raises CorruptMaterial (KeyMismatch) when they do not belong together, InvalidSpec when it may not sign.
    """

    certificate: Certificate
    key: PrivateKey
    name: x509.Name = field(init=False, repr=False, compare=False)
    authority_key_identifier: x509.AuthorityKeyIdentifier = field(init=False, repr=False, compare=False)
    encoded_name: bytes = field(init=False, repr=False, compare=False)
    encoded_key_identifier: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        certificate = self.certificate
        if not certificate.matches(self.key):
            raise CorruptMaterial(
                f"the key does not belong to the certificate {certificate.subject_text}", reason=Reason.KEY_MISMATCH
            )
        if not (certificate.is_ca and certificate.can_sign_certificates):
            # RFC 5280 4.2.1.9 and 4.2.1.3: cA and keyCertSign, both.
            raise InvalidSpec(f"{certificate.subject_text} may not sign certificates", reason=Reason.NOT_A_CA)
        name, key_identifier = certificate.parsed.subject, _authority_key_identifier(certificate)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "authority_key_identifier", key_identifier)
        object.__setattr__(self, "encoded_name", name.public_bytes())
        object.__setattr__(self, "encoded_key_identifier", to_be_signed.extension(key_identifier, critical=False))

    @property
    def key_id(self) -> str:
        """The key identifier that is put into what it signs, in hex."""
        return (self.authority_key_identifier.key_identifier or b"").hex()


def serial_from(random_bytes: bytes) -> int:
    """Make a positive serial of 159 bits (RFC 5280 4.1.2.2: at most 20 octets) from 20 random bytes."""
    if len(random_bytes) != _SERIAL_BYTES:
        raise InvalidSpec(f"a serial number is made from {_SERIAL_BYTES} random bytes, not {len(random_bytes)}")
    return int.from_bytes(random_bytes, "big") >> 1 or 1


def self_sign_root(profile: RootProfile, key: PrivateKey, *, serial: int) -> Certificate:
    """Sign a root with its own key; raises InvalidSpec for a bad serial."""
    public_key, name = key.signing_key.public_key(), profile.subject.to_x509()
    key_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    builder = (
        x509.CertificateBuilder(name, name, public_key, _checked_serial(serial), profile.not_before, profile.not_after)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(key_id.digest, None, None), critical=False)
    )
    return _sign(_with_authority_extensions(builder, path_length=None), key)


def sign_intermediate(
    profile: IntermediateProfile, public_key_der: bytes, issuer: Issuer, *, serial: int
) -> Certificate:
    """Sign a CA under `issuer`; raises InvalidSpec when validity or path length do not fit below it."""
    _check_within(profile.not_before, profile.not_after, issuer.certificate)
    _check_path_length(profile.path_length, issuer.certificate)
    subject, public_key = profile.subject.to_x509(), load_public_key(public_key_der)
    builder = _below(issuer, subject, public_key, serial, profile.not_before, profile.not_after)
    builder = _with_authority_extensions(builder, path_length=profile.path_length)
    if profile.permitted_dns or profile.excluded_dns:
        builder = builder.add_extension(_name_constraints(profile), critical=profile.constraints_critical)
    return _sign(builder, issuer.key, issuer.certificate)


def sign_leaf(profile: LeafProfile, public_key_der: bytes, issuer: Issuer, *, serial: int) -> Certificate:
    """Sign a leaf; raises InvalidSpec when it would outlive its issuer (P3) or have a name the issuer may not give."""
    _check_within(profile.not_before, profile.not_after, issuer.certificate)
    _check_names(profile, issuer.certificate)
    public_key = load_public_key(public_key_der)
    der = to_be_signed.signed(
        issuer.key.signing_key,
        serial=_checked_serial(serial),
        issuer=issuer.encoded_name,
        not_before=profile.not_before,
        not_after=profile.not_after,
        subject=_encoded_subject(profile.subject),
        public_key=public_key_der,
        extensions=_leaf_extensions(profile, public_key, issuer),
    )
    return Certificate.signed_leaf(
        der,
        issuer.certificate,
        subject=profile.subject,
        names=profile.names,
        life=(profile.not_before, profile.not_after),
        key_id=issuer.key_id,
    )


def _leaf_extensions(profile: LeafProfile, public_key: PublicKey, issuer: Issuer) -> tuple[bytes, ...]:
    algorithm = KeySpec.of_public_key(public_key).algorithm
    key_id = to_be_signed.extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    common = (key_id, issuer.encoded_key_identifier, *_usage_extensions(profile.usages, algorithm))
    if not profile.names:
        return common
    # RFC 5280 4.2.1.6: critical when the subject is empty, and only then.
    return (*common, to_be_signed.extension(profile.names.to_x509(), critical=not profile.subject))


@lru_cache(maxsize=256)
def _usage_extensions(usages: tuple[str, ...], algorithm: KeyAlgorithm) -> tuple[bytes, ...]:
    common = (
        to_be_signed.extension(_NOT_A_CA, critical=True),
        to_be_signed.extension(key_usage(usages, algorithm), critical=True),
    )
    purposes = extended_key_usage(usages)
    return common if purposes is None else (*common, to_be_signed.extension(purposes, critical=False))


@lru_cache(maxsize=256)
def _encoded_subject(subject: Subject) -> bytes:
    return subject.to_x509().public_bytes()


def cross_sign(
    root: Certificate, issuer: Issuer, *, serial: int, not_before: datetime, not_after: datetime
) -> Certificate:
    """Sign `root` once more, under `issuer`: same subject, key and key identifier, so that chains run through either.

    The caller gives a notAfter before the old root's, so that the bridge ends before what it leads to. It begins no
    earlier than the issuer, which may have been made by a clock that is ahead of the one that `root` was made by.
    Raises InvalidSpec when `root` is no CA, or validity or path length do not fit below the issuer.
    """
    if not root.is_ca:
        raise InvalidSpec(f"{root.subject_text} is not a certificate authority", reason=Reason.NOT_A_CA)
    not_before = max(not_before, issuer.certificate.not_before)
    _check_within(not_before, not_after, issuer.certificate)
    _check_path_length(root.path_length or 0, issuer.certificate)
    public_key = load_public_key(root.public_key_der)
    builder = _below(issuer, root.parsed.subject, public_key, serial, not_before, not_after, root.key_id)
    return _sign(_with_authority_extensions(builder, path_length=root.path_length), issuer.key, issuer.certificate)


def _below(
    issuer: Issuer,
    subject: x509.Name,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
    key_id: str = "",
) -> x509.CertificateBuilder:
    known = x509.SubjectKeyIdentifier(bytes.fromhex(key_id)) if key_id else None
    return (
        x509.CertificateBuilder(issuer.name, subject, public_key, _checked_serial(serial), not_before, not_after)
        .add_extension(known or x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer.authority_key_identifier, critical=False)
    )


def _with_authority_extensions(builder: x509.CertificateBuilder, *, path_length: int | None) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(constraints, critical=True).add_extension(AUTHORITY_KEY_USAGE, critical=True)


def _sign(builder: x509.CertificateBuilder, key: PrivateKey, issuer: Certificate | None = None) -> Certificate:
    raw = key.signing_key
    deterministic = True if isinstance(raw, ec.EllipticCurvePrivateKey) else None
    signed = builder.sign(raw, to_be_signed.signing_hash(raw), ecdsa_deterministic=deterministic)
    return Certificate.wrap(signed, signed_by=issuer)


def _authority_key_identifier(certificate: Certificate) -> x509.AuthorityKeyIdentifier:
    # The keyid alone: with issuer and serial, a renewed root of the same key fails in OpenSSL, BoringSSL and Java.
    if certificate.key_id:
        return x509.AuthorityKeyIdentifier(bytes.fromhex(certificate.key_id), None, None)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(load_public_key(certificate.public_key_der))


def _name_constraints(profile: IntermediateProfile) -> x509.NameConstraints:
    # RFC 5280 4.2.1.10: absent, never empty, when a side has no subtrees.
    permitted, excluded = (
        [x509.DNSName(base) for base in side] for side in (profile.permitted_dns, profile.excluded_dns)
    )
    return x509.NameConstraints(permitted or None, excluded or None)


def _checked_serial(serial: int) -> int:
    if not 0 < serial < 1 << _SERIAL_BITS:
        raise InvalidSpec(f"a serial number is positive and has at most {_SERIAL_BITS} bits")
    return serial


def _check_within(not_before: datetime, not_after: datetime, issuer: Certificate) -> None:
    if not_before < issuer.not_before or not_after > issuer.not_after:
        raise InvalidSpec(
            f"the validity {not_before.isoformat()} to {not_after.isoformat()} is not within that of "
            f"the issuer {issuer.subject_text}, which ends at {issuer.not_after.isoformat()}"
        )


def _check_path_length(path_length: int, issuer: Certificate) -> None:
    # RFC 5280 4.2.1.9: each CA below needs one of the issuer's remaining steps.
    if issuer.path_length is not None and issuer.path_length <= path_length:
        raise InvalidSpec(
            f"the path length {issuer.path_length} of {issuer.subject_text} does not allow this authority below it",
            reason=Reason.CONSTRAINT_VIOLATION,
        )


def _check_names(profile: LeafProfile, issuer: Certificate) -> None:
    if violation := dns_violation(identities(profile.names, profile.subject.common_name), issuer):
        raise InvalidSpec(violation, reason=Reason.CONSTRAINT_VIOLATION)
    if issuer.has_other_constraints and (profile.names.ips or profile.names.uris or profile.names.emails):
        raise InvalidSpec(
            f"{issuer.subject_text} has name constraints beside DNS, so only DNS names can be issued under it",
            reason=Reason.CONSTRAINT_VIOLATION,
        )
