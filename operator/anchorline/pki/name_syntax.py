"""What a DNS name, IP address, URI and email address must look like to stand in a certificate, and DNS subtrees."""

import re
from ipaddress import ip_address

from anchorline.errors import InvalidSpec

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]+)([/?#][!-~]*)?")
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_MAX_NAME, _MAX_LABEL, _MAX_LOCAL_PART = 253, 63, 64
# Curl, Node, Python, GnuTLS, browsers and rustls refuse `*.svc`: a star needs two labels after it.
_LABELS_AFTER_STAR = 2
_AFTER_STAR = "needs at least two labels after the star: most clients refuse it"


def dns_name(value: str, *, wildcard: bool = True) -> str:
    """Lower-case a host name (RFC 1123 2.1, RFC 5280 4.2.1.6), or raise InvalidSpec naming it and the broken rule."""
    if not value.isascii():
        raise _refused("DNS name", value, "is not ASCII: write international names as A-labels (xn--...)")
    name = value.lower()
    if wildcard and name == "*":
        raise _refused("DNS name", value, _AFTER_STAR)
    host = name[2:] if wildcard and name.startswith("*.") else name
    if problem := _host_problem(host):
        raise _refused("DNS name", value, problem)
    if host != name and host.count(".") + 1 < _LABELS_AFTER_STAR:
        raise _refused("DNS name", value, _AFTER_STAR)
    if len(name) > _MAX_NAME:
        raise _refused("DNS name", value, f"is longer than {_MAX_NAME} characters")
    return name


def ip_text(value: str) -> str:
    """Write an IPv4 or IPv6 address in its canonical form (RFC 5952), or raise InvalidSpec."""
    try:
        address = ip_address(value)
    except ValueError:
        raise _refused("IP address", value, "is neither IPv4 nor IPv6") from None
    if "%" in str(address):
        raise _refused("IP address", value, "has a zone, which a certificate cannot hold")
    return str(address)


def uri(value: str) -> str:
    """Lower-case scheme and host of an absolute URI (RFC 5280 4.2.1.6), or raise InvalidSpec."""
    if not value.isascii():
        raise _refused("URI", value, "is not ASCII: write it percent-encoded (RFC 3987 3.1)")
    parts = _URI.fullmatch(value)
    if parts is None:
        raise _refused("URI", value, "needs a scheme and a host, and no white space")
    scheme, host, rest = parts[1].lower(), parts[2].lower(), parts[3] or ""
    if not _HOST.fullmatch(host):
        raise _refused("URI", value, "needs a host of letters, digits, dots and hyphens, and no user name")
    return f"{scheme}://{host}{rest}"


def email(value: str) -> str:
    """Lower-case the domain of a mailbox (RFC 5280 4.2.1.6; the local part keeps its case), or raise InvalidSpec."""
    local, at, domain = value.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local):
        raise _refused("email address", value, "is not local@domain in plain ASCII")
    if len(local) > _MAX_LOCAL_PART:
        raise _refused("email address", value, f"has more than {_MAX_LOCAL_PART} characters before the @")
    try:
        return f"{local}@{dns_name(domain, wildcard=False)}"
    except InvalidSpec as error:
        raise _refused("email address", value, f"has a bad domain: {error.message}") from None


def within_dns_subtree(name: str, base: str) -> bool:
    """Whether `name` lies in the subtree of a DNS name constraint (RFC 5280 4.2.1.10): labels added on the left.

    A wildcard counts as one more label below what follows its star. `base` is written without a leading dot; a
    foreign constraint with one means proper subdomains only, as OpenSSL and Go read it. The empty base is everything.
    """
    name, base = name.lower(), base.lower()
    if not base or (base.startswith(".") and name.endswith(base)):
        return True
    return name == base or name.endswith("." + base)


def touches_dns_subtree(name: str, base: str) -> bool:
    """Whether a host that `name` stands for can lie in an excluded subtree.

    More than `within_dns_subtree`: the wildcard `*.shop.svc` also stands for `web.shop.svc` (Go: CVE-2025-61727).
    """
    if within_dns_subtree(name, base):
        return True
    return name.startswith("*.") and matches_dns_name(name, base.lstrip("."))


def matches_dns_name(pattern: str, host: str) -> bool:
    """Whether a certificate's name covers a host: equal, or a star for exactly its first label (RFC 9525 6.3)."""
    pattern, host = pattern.lower(), host.lower()
    if not pattern.startswith("*."):
        return pattern == host
    label, _, parent = host.partition(".")
    return bool(label) and parent == pattern[2:] and parent.count(".") + 1 >= _LABELS_AFTER_STAR


def _host_problem(host: str) -> str | None:
    if host.endswith(".") or host.startswith("."):
        return "starts or ends with a dot"
    if "*" in host:
        return "has a star that is not the whole leftmost label"
    if "_" in host:
        return "has an underscore, which host names in certificates may not have"
    return _label_problem(host.split("."))


def _label_problem(labels: list[str]) -> str | None:
    for label in labels:
        if len(label) > _MAX_LABEL:
            return f"has a label of more than {_MAX_LABEL} characters"
        if not _LABEL.fullmatch(label):
            return "has a label that is not made of letters, digits and inner hyphens"
    if labels[-1].isdigit():
        return "ends in a number: IP addresses go into ipAddresses"
    return None


def _refused(kind: str, value: str, rule: str) -> InvalidSpec:
    return InvalidSpec(f'{kind} "{value}" {rule}')
