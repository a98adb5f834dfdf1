"""A leaf that is put together here is, byte for byte, the one that the `cryptography` library's builder makes."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.certificates import a_root, an_intermediate, key_of
from tests.support.depth import examples

from anchorline import pki
from anchorline.pki import to_be_signed
from anchorline.pki.usages import extended_key_usage, key_usage

KINDS = st.sampled_from(["P-256", "P-384", "P-521", "RSA", "Ed25519"])
SERIALS = st.one_of(st.integers(1, 300), st.binary(min_size=20, max_size=20).map(pki.serial_from))
MOMENTS = st.datetimes(min_value=datetime(2027, 1, 1), max_value=datetime(2060, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC, microsecond=0)
)
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(lambda labels: ".".join([*labels, "svc"]))
TEXTS = st.sampled_from(["", "web", "Zürich GmbH", "x" * 64])
USAGES = st.lists(st.sampled_from([word for word in pki.Usage if word not in {"cert sign", "crl sign"}]), unique=True)


def built(profile: pki.LeafProfile, key: pki.PrivateKey, issuer: pki.Issuer, serial: int) -> bytes:
    """The same leaf from the library's builder."""
    public_key = key.signing_key.public_key()
    algorithm = pki.KeySpec.of_public_key(public_key).algorithm
    extensions: list[tuple[x509.ExtensionType | None, bool]] = [
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
        (issuer.authority_key_identifier, False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(profile.usages, algorithm), True),
        (extended_key_usage(profile.usages), False),
        (profile.names.to_x509() if profile.names else None, not profile.subject),
    ]
    builder = x509.CertificateBuilder(
        issuer.name, profile.subject.to_x509(), public_key, serial, profile.not_before, profile.not_after
    )
    for value, critical in extensions:
        if value is not None:
            builder = builder.add_extension(value, critical=critical)
    raw = issuer.key.signing_key
    deterministic = True if isinstance(raw, ec.EllipticCurvePrivateKey) else None
    return pki.Certificate.wrap(
        builder.sign(raw, to_be_signed.signing_hash(raw), ecdsa_deterministic=deterministic)
    ).der


@settings(max_examples=examples())
@given(
    kind=KINDS, leaf_kind=KINDS, serial=SERIALS, start=MOMENTS, hosts=st.lists(HOSTS, max_size=12), name=TEXTS,
    organization=TEXTS, ips=st.lists(st.ip_addresses().map(str), max_size=2), usages=USAGES,
)  # fmt: skip
def test_a_leaf_is_what_the_library_would_build(
    kind: str,
    leaf_kind: str,
    serial: int,
    start: datetime,
    hosts: list[str],
    name: str,
    organization: str,
    ips: list[str],
    usages: list[str],
) -> None:
    ends = datetime(2070, 1, 1, tzinfo=UTC)
    root = a_root(key=key_of(kind, 1), not_after=ends)
    issuer = an_intermediate(root, key=key_of(kind, 2), permitted=("svc",), not_after=ends)
    profile = pki.LeafProfile(
        subject=pki.Subject(common_name=name, organizations=(organization,) if organization else ()),
        # What has no name at all is not a profile.
        names=pki.AlternativeNames.parse(dns=hosts or ["web.shop.svc"], ips=ips),
        usages=tuple(usages),
        not_before=start,
        not_after=start + timedelta(days=365),
    )
    key = key_of(leaf_kind, 3)
    leaf = pki.sign_leaf(profile, key.public_key_der, issuer, serial=serial)
    assert leaf.der == built(profile, key, issuer, serial)
    read = pki.Certificate.from_der(leaf.der)
    for what in ("fingerprint", "subject", "names", "authority_key_id", "not_before", "not_after", "serial_hex"):
        assert getattr(leaf, what) == getattr(read, what), what


@settings(max_examples=examples())
@given(second=st.integers(0, 39), rest=st.lists(st.integers(0, 2**40), min_size=1, max_size=6))
def test_object_identifiers_are_what_the_library_writes(second: int, rest: list[int]) -> None:
    identifier = ObjectIdentifier(".".join(map(str, (1, second, *rest))))
    purposes = x509.ExtendedKeyUsage([identifier]).public_bytes()
    assert to_be_signed._oid(identifier) == purposes[-len(to_be_signed._oid(identifier)) :]
    assert len(purposes) == len(to_be_signed._oid(identifier)) + 2
