"""Certificates in words: for people, for the demo, and for golden tests."""

from collections.abc import Iterator
from datetime import datetime

from anchorline.errors import InvalidSpec
from anchorline.pki.bundle import TrustBundle
from anchorline.pki.certificate import Certificate


def describe(certificate: Certificate) -> str:
    """Write one line per fact, in a fixed order; the same certificate gives the same text."""
    return "".join(f"{label + ':':<26}{value}\n" for label, value in _facts(certificate) if value)


def describe_chain(chain: tuple[Certificate, ...], roots: TrustBundle) -> str:
    """Draw the roots that the chain (leaf first) leads to as a tree, root -> intermediate -> leaf, one line each."""
    members = tuple(dict.fromkeys((*(root for root in roots if _is_used(root, chain)), *reversed(chain))))
    tops = [c for c in members if c.is_self_issued or not any(c.is_issued_by(other) for other in members)]
    return "".join(line for top in tops for line in _tree(top, members, roots, depth=0, above=()))


def _facts(certificate: Certificate) -> Iterator[tuple[str, str]]:
    yield "Subject", certificate.subject_text or "(empty)"
    yield "Issuer", certificate.issuer_text
    yield "Serial", certificate.serial_hex
    yield "Valid", f"{_instant(certificate.not_before)} to {_instant(certificate.not_after)}"
    yield "Key", _key_text(certificate)
    yield "Authority", _authority_text(certificate)
    yield "Names", ", ".join(certificate.names)
    yield "Usages", ", ".join(certificate.usages)
    kind = " (critical)" if certificate.constraints_critical else ""
    yield "Permitted DNS" + kind, ", ".join(certificate.permitted_dns)
    yield "Excluded DNS" + kind, ", ".join(certificate.excluded_dns)
    yield "Subject key id", certificate.key_id
    yield "Authority key id", certificate.authority_key_id
    yield "Critical", ", ".join(sorted(oid._name for oid in certificate.critical_extensions))
    yield "SHA-256", certificate.fingerprint


def _authority_text(certificate: Certificate) -> str:
    if not certificate.is_ca:
        return "no"
    return "yes" if certificate.path_length is None else f"yes, path length {certificate.path_length}"


def _key_text(certificate: Certificate) -> str:
    try:
        return str(certificate.key_spec)
    except InvalidSpec:
        return "of another algorithm"


def _instant(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_used(root: Certificate, chain: tuple[Certificate, ...]) -> bool:
    return any(certificate.is_issued_by(root) for certificate in chain)


def _tree(
    certificate: Certificate,
    members: tuple[Certificate, ...],
    roots: TrustBundle,
    *,
    depth: int,
    above: tuple[Certificate, ...],
) -> Iterator[str]:
    yield "   " * (depth - 1) + ("└─ " if depth else "") + _line(certificate, roots, above=depth > 0)
    for child in members:
        if not child.is_self_issued and child not in above and child.is_issued_by(certificate):
            yield from _tree(child, members, roots, depth=depth + 1, above=(*above, certificate))


def _line(certificate: Certificate, roots: TrustBundle, *, above: bool) -> str:
    name = certificate.subject_text or ", ".join(certificate.names)
    trusted = "trusted root, " if certificate in roots else ""
    end = _instant(certificate.not_after)
    stranger = "" if above or certificate.is_self_issued else f"signed by {certificate.issuer_text}, "
    return f"{name}  ({trusted}{stranger}{_key_text(certificate)}, until {end}, {certificate.short_fingerprint})\n"
