"""Certificates to test with: fixed keys, ready chains, and what a root, an intermediate and a leaf must be."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from anchorline import pki

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
YEAR, DAY = timedelta(days=365), timedelta(days=1)
CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
CONSTRAINTS = ("svc.cluster.local", "svc")
LEAF_NAMES = ("web.shop.svc.cluster.local", "web.shop.svc")


@cache
def ec_key(number: int, size: int = 256) -> pki.PrivateKey:
    """A fixed ECDSA key: the private value is derived from a small number, so it guards nothing."""
    return pki.PrivateKey.wrap(ec.derive_private_key(number + 1_000_003, CURVES[size]))


@cache
def ed25519_key(number: int) -> pki.PrivateKey:
    """A fixed Ed25519 key."""
    return pki.PrivateKey.wrap(ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


@cache
def rsa_key(number: int = 0) -> pki.PrivateKey:
    """An RSA-2048 key, made at run time and once in a process: no private key lies in the repository."""
    _ = number
    return pki.PrivateKey.wrap(rsa.generate_private_key(65537, 2048))


def key_of(kind: str, number: int) -> pki.PrivateKey:
    """A key by a short word: P-256, P-384, P-521, RSA, Ed25519."""
    if kind == "RSA":
        return rsa_key(number)
    return ed25519_key(number) if kind == "Ed25519" else ec_key(number, int(kind[2:]))


def a_root(
    common_name: str = "Acme Internal 1",
    key: pki.PrivateKey | None = None,
    *,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 10 * YEAR,
) -> pki.Issuer:
    """A self-signed root with its key."""
    key = key or ec_key(1)
    profile = pki.RootProfile(
        subject=pki.Subject(common_name, organizations=("Acme",)), not_before=not_before, not_after=not_after
    )
    return pki.Issuer(pki.self_sign_root(profile, key, serial=11), key)


def an_intermediate(
    root: pki.Issuer,
    common_name: str = "Acme Internal Intermediate 1",
    key: pki.PrivateKey | None = None,
    *,
    permitted: tuple[str, ...] = CONSTRAINTS,
    excluded: tuple[str, ...] = (),
    path_length: int = 0,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + YEAR,
    critical: bool = True,
) -> pki.Issuer:
    """An intermediate under `root`, with name constraints and its key."""
    key = key or ec_key(2)
    profile = pki.IntermediateProfile(
        subject=pki.Subject(common_name, organizations=("Acme",)),
        not_before=not_before,
        not_after=not_after,
        path_length=path_length,
        permitted_dns=permitted,
        excluded_dns=excluded,
        constraints_critical=critical,
    )
    return pki.Issuer(pki.sign_intermediate(profile, key.public_key_der, root, serial=22), key)


def a_leaf(
    issuer: pki.Issuer,
    key: pki.PrivateKey | None = None,
    *,
    dns: tuple[str, ...] = LEAF_NAMES,
    ips: tuple[str, ...] = (),
    common_name: str = "",
    usages: tuple[str, ...] = pki.DEFAULT_USAGES,
    not_before: datetime = NOW - timedelta(minutes=5),
    not_after: datetime = NOW + 30 * DAY,
) -> pki.Certificate:
    """A leaf for the usual names under `issuer`."""
    profile = pki.LeafProfile(
        subject=pki.Subject(common_name),
        names=pki.AlternativeNames.parse(dns=dns, ips=ips),
        usages=usages,
        not_before=not_before,
        not_after=not_after,
    )
    return pki.sign_leaf(profile, (key or ec_key(3)).public_key_der, issuer, serial=33)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A root, its intermediate, and a leaf with its key."""

    root: pki.Issuer
    intermediate: pki.Issuer
    leaf: pki.Certificate
    leaf_key: pki.PrivateKey

    @property
    def served(self) -> tuple[pki.Certificate, ...]:
        """What a server sends, leaf first."""
        return self.leaf, self.intermediate.certificate

    @property
    def roots(self) -> pki.TrustBundle:
        """The trust store that goes with it."""
        return pki.TrustBundle.of([self.root.certificate], now=None)


def a_chain(kind: str = "P-256", leaf_kind: str = "", *, now: datetime = NOW, **leaf: object) -> Chain:
    """Root, intermediate and leaf with keys of one kind, or another for the leaf."""
    root = a_root(key=key_of(kind, 1), not_before=now - DAY, not_after=now + 10 * YEAR)
    intermediate = an_intermediate(root, key=key_of(kind, 2), not_before=now - DAY, not_after=now + YEAR)
    leaf = {"not_before": now - timedelta(minutes=5), "not_after": now + 30 * DAY, **leaf}
    leaf_key = key_of(leaf_kind or kind, 3)
    certificate = a_leaf(intermediate, leaf_key, **leaf)  # type: ignore[arg-type]
    return Chain(root=root, intermediate=intermediate, leaf=certificate, leaf_key=leaf_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A rotation under way: the new root, the new root signed by the old one, and a leaf under the new one."""

    old: pki.Certificate
    new: pki.Certificate
    cross: pki.Certificate
    intermediate: pki.Certificate
    leaf: pki.Certificate
    leaf_key: pki.PrivateKey

    @property
    def served(self) -> tuple[pki.Certificate, ...]:
        """What a server sends, leaf first."""
        return self.leaf, self.intermediate, self.cross


def a_bridge(now: datetime = NOW) -> Bridge:
    """The second generation at work, while pods may know only the first."""
    begin, end = now - DAY, now + 10 * YEAR
    old = a_root(key=ec_key(1), not_before=begin, not_after=end)
    new = a_root("Acme Internal 2", ec_key(4), not_before=begin, not_after=end)
    cross = pki.cross_sign(new.certificate, old, serial=44, not_before=begin, not_after=end - DAY)
    intermediate = an_intermediate(
        new, "Acme Internal Intermediate 2", ec_key(5), not_before=begin, not_after=now + YEAR
    )
    leaf = a_leaf(intermediate, not_before=now - timedelta(minutes=5), not_after=now + 30 * DAY)
    return Bridge(
        old=old.certificate,
        new=new.certificate,
        cross=cross,
        intermediate=intermediate.certificate,
        leaf=leaf,
        leaf_key=ec_key(3),
    )


def assert_is_root(certificate: pki.Certificate) -> None:
    """Self-signed, a CA without path length, and the extensions that strict clients ask of a root."""
    assert certificate.is_self_signed
    assert certificate.path_length is None
    assert certificate.authority_key_id == certificate.key_id
    _assert_is_authority(certificate)


def assert_is_intermediate(certificate: pki.Certificate, issuer: pki.Certificate, *, path_length: int = 0) -> None:
    """A CA with a path length, below its issuer and within its life."""
    assert certificate.path_length == path_length
    _assert_is_authority(certificate)
    _assert_is_below(certificate, issuer)


def assert_is_leaf(certificate: pki.Certificate, issuer: pki.Certificate) -> None:
    """No CA, names in the SAN (critical exactly when the subject is empty), within the issuer's life."""
    assert not certificate.is_ca
    assert not certificate.can_sign_certificates
    assert "digital signature" in certificate.usages
    assert (x509.SubjectAlternativeName.oid in certificate.critical_extensions) == (not certificate.subject)
    _assert_is_below(certificate, issuer)


def _assert_is_authority(certificate: pki.Certificate) -> None:
    assert certificate.is_ca
    assert certificate.usages == ("cert sign", "crl sign")
    _assert_has_the_usual_extensions(certificate)


def _assert_is_below(certificate: pki.Certificate, issuer: pki.Certificate) -> None:
    assert certificate.is_issued_by(issuer)
    assert certificate.authority_key_id == issuer.key_id
    assert issuer.not_before <= certificate.not_before < certificate.not_after <= issuer.not_after
    _assert_has_the_usual_extensions(certificate)


def _assert_has_the_usual_extensions(certificate: pki.Certificate) -> None:
    assert certificate.key_id
    assert {x509.BasicConstraints.oid, x509.KeyUsage.oid} <= certificate.critical_extensions
    authority = certificate.parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.authority_cert_serial_number is None
    assert authority.authority_cert_issuer is None
    assert 0 < int(certificate.serial_hex, 16) < 2**159
