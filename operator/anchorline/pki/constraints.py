"""Name constraints (RFC 5280 4.2.1.10): which DNS names an authority may give, for signing and for verifying alike."""

from collections.abc import Iterable

from anchorline.errors import InvalidSpec
from anchorline.pki.certificate import Certificate
from anchorline.pki.name_syntax import dns_name, touches_dns_subtree, within_dns_subtree
from anchorline.pki.names import AlternativeNames


def identities(names: AlternativeNames, common_name: str) -> tuple[str, ...]:
    """Name what DNS constraints apply to: the DNS names, or in their absence a common name that looks like one.

    OpenSSL holds such a common name against the constraints too (NAME_CONSTRAINTS_check_CN), so we must.
    """
    if names.dns or "." not in common_name:
        return names.dns
    try:
        return (dns_name(common_name),)
    except InvalidSpec:
        return ()


def dns_violation(names: Iterable[str], authority: Certificate) -> str | None:
    """Say which name the authority may not give and why, in a sentence, or None."""
    permitted, excluded = authority.permitted_dns, authority.excluded_dns
    for name in names:
        if permitted and not any(within_dns_subtree(name, base) for base in permitted):
            return f"{name} is outside what {authority.subject_text} may issue for: {', '.join(permitted)}"
        for base in excluded:
            if touches_dns_subtree(name, base):
                return f"{name} is in {base}, which {authority.subject_text} may not issue for"
    return None
