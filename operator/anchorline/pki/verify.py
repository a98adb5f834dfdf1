"""Path validation (RFC 5280 6.1) as the strictest clients do it: whether a chain verifies under these roots."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509

from anchorline.errors import InvalidSpec, Reason
from anchorline.pki.bundle import TrustBundle
from anchorline.pki.certificate import Certificate
from anchorline.pki.constraints import dns_violation, identities
from anchorline.pki.name_syntax import matches_dns_name
from anchorline.pki.names import AlternativeNames
from anchorline.pki.usages import Usage

# Far more than any honest chain needs; a crafted one must not keep us busy.
_MAX_DEPTH, _MAX_SIGNATURES = 8, 128
_UNDERSTOOD = frozenset(
    kind.oid
    for kind in (
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.NameConstraints,
    )
)


class ChainError(InvalidSpec):
    """A chain does not verify; the message says which certificate is wrong, and how."""


def verify_chain(
    chain: tuple[Certificate, ...],
    roots: TrustBundle,
    *,
    now: datetime,
    dns_name: str | None = None,
    purpose: str | None = Usage.SERVER_AUTH,
    check_anchor_dates: bool = True,
) -> None:
    """Raise ChainError unless some path from the leaf (first) through the others (any order) to a root holds.

    All paths are tried, as a client with backtracking does. `dns_name` may be an IP address too. `purpose=None` asks
    for none and lets the first certificate be a CA. Java and rustls do not look at a root's dates:
    `check_anchor_dates=False` is for asking what they would say.
    """
    if not chain:
        raise ChainError("the chain is empty")
    if dns_name is not None:
        _check_name(chain[0].names, dns_name)
    first_error: ChainError | None = None
    for path in _paths(chain, roots):
        try:
            _check_path(path, now, purpose, check_anchor_dates)
        except ChainError as error:
            first_error = first_error or error
        else:
            return
    raise first_error or _no_path(chain, roots)


@dataclass(slots=True)
class _Signatures:
    """Signature checks of one search, each done once, and so many at most."""

    seen: dict[tuple[Certificate, Certificate], bool] = field(default_factory=dict)

    def issued_by(self, certificate: Certificate, issuer: Certificate) -> bool:
        pair = certificate, issuer
        if pair not in self.seen:
            if certificate.parsed.issuer != issuer.parsed.subject:
                return False
            if len(self.seen) >= _MAX_SIGNATURES:
                raise ChainError(f"the chain needs more than {_MAX_SIGNATURES} signature checks")
            self.seen[pair] = certificate.is_issued_by(issuer)
        return self.seen[pair]


def _paths(chain: tuple[Certificate, ...], roots: TrustBundle) -> Iterator[tuple[Certificate, ...]]:
    """Every path leaf..anchor whose signatures verify, the shortest continuation first."""
    signatures, anchors, pool = _Signatures(), tuple(roots), tuple(dict.fromkeys(chain[1:]))

    def extend(path: tuple[Certificate, ...]) -> Iterator[tuple[Certificate, ...]]:
        tip = path[-1]
        if tip in roots:
            yield path
            return
        for anchor in anchors:
            if signatures.issued_by(tip, anchor):
                yield (*path, anchor)
        if len(path) < _MAX_DEPTH:
            for issuer in pool:
                if issuer not in path and issuer not in roots and signatures.issued_by(tip, issuer):
                    yield from extend((*path, issuer))

    yield from extend(chain[:1])


def _no_path(chain: tuple[Certificate, ...], roots: TrustBundle) -> ChainError:
    leaf, known = chain[0], len(roots)
    tip = next((c for c in reversed(chain) if not c.is_self_issued), leaf)
    return ChainError(
        f"no path leads from {_name(leaf)} to one of the {known} trusted roots: "
        f"the issuer {tip.issuer_text} (key {tip.authority_key_id or 'unknown'}) of {_name(tip)} is not among them"
    )


def _check_path(path: tuple[Certificate, ...], now: datetime, purpose: str | None, check_anchor_dates: bool) -> None:
    dated = path if check_anchor_dates else path[:-1]
    for certificate in dated:
        _check_dates(certificate, now)
    for certificate in path:
        _check_extensions(certificate)
    if purpose is not None:
        _check_purpose(path, purpose)
    for below, issuer in enumerate(path[1:], start=1):
        _check_issuer(issuer, path[:below])


def _check_dates(certificate: Certificate, now: datetime) -> None:
    if now < certificate.not_before:
        raise ChainError(f"{_name(certificate)} is not valid before {certificate.not_before.isoformat()}")
    if now > certificate.not_after:
        raise ChainError(f"{_name(certificate)} expired at {certificate.not_after.isoformat()}", reason=Reason.EXPIRED)


def _check_extensions(certificate: Certificate) -> None:
    # RFC 5280 4.2: a critical extension that is not understood refuses the certificate.
    if unknown := certificate.critical_extensions - _UNDERSTOOD:
        listed = ", ".join(sorted(oid.dotted_string for oid in unknown))
        raise ChainError(f"{_name(certificate)} has critical extensions that are not understood: {listed}")
    if certificate.has_other_constraints:
        raise ChainError(f"{_name(certificate)} has name constraints beside DNS, which are not understood")


def _check_purpose(path: tuple[Certificate, ...], purpose: str) -> None:
    leaf = path[0]
    if leaf.is_ca:
        raise ChainError(f"{_name(leaf)} is a certificate authority, not a leaf", reason=Reason.CONSTRAINT_VIOLATION)
    for certificate in path[:-1]:
        # An extended key usage on an intermediate limits what is below it, in every client.
        if certificate.purposes is not None and not {purpose, Usage.ANY}.intersection(certificate.purposes):
            raise ChainError(f'{_name(certificate)} is not for "{purpose}" but for {", ".join(certificate.purposes)}')


def _check_issuer(issuer: Certificate, below: tuple[Certificate, ...]) -> None:
    if not (issuer.is_ca and issuer.can_sign_certificates):
        raise ChainError(f"{_name(issuer)} may not sign certificates", reason=Reason.NOT_A_CA)
    # RFC 5280 6.1.4 (l): self-issued intermediates do not count.
    steps = sum(not certificate.is_self_issued for certificate in below[1:])
    if issuer.path_length is not None and steps > issuer.path_length:
        raise ChainError(f"{_name(issuer)} allows {issuer.path_length} authorities below it, not {steps}")
    for certificate in below:
        common_name = certificate.common_name if certificate is below[0] else ""
        if violation := dns_violation(identities(certificate.names, common_name), issuer):
            raise ChainError(violation, reason=Reason.CONSTRAINT_VIOLATION)


def _check_name(names: AlternativeNames, wanted: str) -> None:
    try:
        found = str(ip_address(wanted)) in names.ips
    except ValueError:
        found = any(matches_dns_name(pattern, wanted) for pattern in names.dns)
    if not found:
        raise ChainError(f"the certificate is not for {wanted} but for {', '.join(names) or 'no name at all'}")


def _name(certificate: Certificate) -> str:
    return certificate.subject_text or ", ".join(certificate.names) or certificate.short_fingerprint
