"""Who may have which names (P7): a namespace's own services by default, everything wider by the PrivateCA's policy."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network

from anchorline.api.certificate import CertificateSpec
from anchorline.api.fields import LabelSelector
from anchorline.api.privateca import PrivateCA, PrivateCASpec
from anchorline.errors import InvalidSpec, Reason
from anchorline.pki import AlternativeNames, Certificate, within_dns_subtree
from anchorline.pki.constraints import dns_violation, identities
from anchorline.pki.name_syntax import dns_name
from anchorline.pki.usages import Usage, purposes_among
from anchorline.plan.findings import Finding
from anchorline.plan.world import NamespaceSeen

NAMESPACE = "{namespace}"


def selects(selector: LabelSelector | None, labels: tuple[tuple[str, str], ...], *, default: bool) -> bool:
    """Whether a Kubernetes label selector matches; an absent one means `default`."""
    if selector is None:
        return default
    have = dict(labels)
    if any(have.get(key) != value for key, value in selector.match_labels):
        return False
    return all(_requirement(each.operator, have.get(each.key), each.values) for each in selector.match_expressions)


def _requirement(operator: str, value: str | None, values: tuple[str, ...]) -> bool:
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    return (value is not None) == (operator == "Exists")


def service_domains(cluster_domain: str) -> tuple[str, ...]:
    """Where services have their names: `web.shop.svc` and `web.shop.svc.cluster.local`."""
    return ("svc", f"svc.{cluster_domain}")


@lru_cache(maxsize=4096)
def _matcher(pattern: str, namespace: str) -> re.Pattern[str]:
    """DNS pattern as an expression: `*` is exactly one label, a leading `**.` one or more."""
    text = pattern.lower().replace(NAMESPACE, namespace)
    deep = text.startswith("**.")
    labels = (text[3:] if deep else text).split(".")
    label = r"(?:\*|[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
    body = r"\.".join(label if part == "*" else re.escape(part) for part in labels)
    return re.compile(rf"(?:{label}\.)+{body}\Z" if deep else rf"{body}\Z")


def dns_granted(name: str, namespace: str, patterns: Iterable[str]) -> bool:
    """Whether any pattern grants the (lower-case) DNS name to the namespace."""
    return any(_matcher(pattern, namespace).match(name) for pattern in patterns)


def dns_patterns(spec: PrivateCASpec, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """Patterns that grant DNS names: the namespace's own services, and what the policy adds."""
    domains = service_domains(cluster_domain)
    own = tuple(f"**.{NAMESPACE}.{domain}" for domain in domains)
    return (*own, *(each for each in spec.policy.dns_names if not _becomes_services(each, namespace, domains)))


def _becomes_services(pattern: str, namespace: str, domains: tuple[str, ...]) -> bool:
    """Whether a pattern reaches everybody's services only because of how the namespace is called.

    `**.{namespace}` is harmless until somebody makes a namespace `svc`, `**.{namespace}.local` until `cluster`.
    """
    written, meant = _ending(pattern), _ending(pattern.replace(NAMESPACE, namespace))
    return meant != written and any(
        (within_dns_subtree(domain, meant) or within_dns_subtree(meant, domain))
        and not within_dns_subtree(written, domain)
        for domain in domains
    )


@lru_cache(maxsize=1024)
def _text_matcher(pattern: str, namespace: str) -> re.Pattern[str]:
    """URI or e-mail pattern: `*` is anything within one part of it, a final `**` is all the rest.

    A part ends at `/` and `@`, and at `?` and `#`: else `https://evil.example?.acme.example/` would be a host of ours.
    """
    text = pattern.replace(NAMESPACE, namespace)
    rest = text.endswith("**")
    parts = (text[:-2] if rest else text).split("*")
    return re.compile(r"[^/@?#]+".join(re.escape(part) for part in parts) + (r".+\Z" if rest else r"\Z"), re.DOTALL)


def _text_granted(value: str, namespace: str, patterns: Iterable[str]) -> bool:
    return any(_text_matcher(pattern, namespace).match(value) for pattern in patterns)


def _ip_granted(value: str, ranges: Iterable[str]) -> bool:
    address = ip_address(value)
    networks = (ip_network(each, strict=False) for each in ranges)
    return any(network.version == address.version and address in network for network in networks)


def permitted_domains(spec: PrivateCASpec, cluster_domain: str) -> tuple[str, ...]:
    """DNS subtrees for the intermediate: what is written, else everything that the policy can ever grant.

    Empty means no permitted list at all: some pattern has no fixed ending, so that no subtree could hold it.
    Raises InvalidSpec, naming the field, for what is no DNS domain.
    """
    constraints = spec.name_constraints
    if not constraints.enabled:
        return ()
    if constraints.permitted_dns_domains:
        return _domains("permittedDNSDomains", constraints.permitted_dns_domains)
    endings = [_ending(pattern) for pattern in spec.policy.dns_names]
    if not all(endings):
        return ()
    named = zip(spec.policy.dns_names, endings, strict=True)
    wanted = {
        *service_domains(cluster_domain),
        *(_domain(f'spec.policy.dnsNames "{each}"', end) for each, end in named),
    }
    return tuple(sorted(each for each in wanted if not _covered(each, wanted)))


def _covered(domain: str, others: set[str]) -> bool:
    return any(other != domain and within_dns_subtree(domain, other) for other in others)


def _ending(pattern: str) -> str:
    """The fixed end of a pattern: `*.{namespace}.acme.example` -> `acme.example`."""
    fixed: list[str] = []
    for label in reversed(pattern.lower().split(".")):
        if "*" in label or NAMESPACE in label:
            break
        fixed.append(label)
    return ".".join(reversed(fixed))


def _domain(where: str, domain: str) -> str:
    """The domain in lower case. Raises InvalidSpec with the field that it stands in."""
    try:
        return dns_name(domain, wildcard=False)
    except InvalidSpec as error:
        hint = f"; the one placeholder is {NAMESPACE}" if "{" in domain else ""
        raise InvalidSpec(f"{where}: {error.message}{hint}") from None


def _domains(field: str, domains: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({_domain(f"spec.nameConstraints.{field}", each) for each in domains}))


def excluded_domains(spec: PrivateCASpec) -> tuple[str, ...]:
    """Excluded DNS subtrees for the intermediate. Raises InvalidSpec, naming the field, for what is no DNS domain."""
    constraints = spec.name_constraints
    return _domains("excludedDNSDomains", constraints.excluded_dns_domains) if constraints.enabled else ()


def refusals(
    spec: CertificateSpec, names: AlternativeNames, namespace: NamespaceSeen, ca: PrivateCA, cluster_domain: str
) -> tuple[Finding, ...]:
    """Everything in a Certificate that the PrivateCA's policy does not grant to its namespace."""
    policy = ca.spec.policy
    who = f"PrivateCA {ca.metadata.name}"
    if not selects(policy.namespace_selector, namespace.labels, default=True):
        return (
            _denied(
                f"namespace {namespace.name} may not have certificates from {who}: policy.namespaceSelector does not"
                " match its labels; ask whoever may edit that PrivateCA"
            ),
        )
    return (
        *_refused_names(spec, names, namespace.name, ca, cluster_domain),
        *_refused_request(spec, ca),
    )


def _denied(message: str) -> Finding:
    return Finding(reason=Reason.POLICY_DENIED, message=message)


def _refused_names(
    spec: CertificateSpec, names: AlternativeNames, namespace: str, ca: PrivateCA, cluster_domain: str
) -> tuple[Finding, ...]:
    policy, name = ca.spec.policy, ca.metadata.name
    patterns = dns_patterns(ca.spec, namespace, cluster_domain)
    found = [
        _foreign_dns(each, namespace, name, cluster_domain)
        for each in names.dns
        if not dns_granted(each, namespace, patterns)
    ]
    found += [
        _not_granted("IP address", each, "ipRanges", name)
        for each in names.ips
        if not _ip_granted(each, policy.ip_ranges)
    ]
    found += [
        _not_granted("URI", each, "uris", name)
        for each in names.uris
        if not _text_granted(each, namespace, policy.uris)
    ]
    found += [
        _not_granted("e-mail address", each, "emailAddresses", name)
        for each in names.emails
        if not _text_granted(each, namespace, policy.email_addresses)
    ]
    common = spec.common_name
    if common and not _common_name_granted(common, namespace, patterns, policy.common_names):
        found.append(_not_granted("common name", common, "commonNames", name))
    return tuple(found)


def _common_name_granted(value: str, namespace: str, dns: tuple[str, ...], common_names: tuple[str, ...]) -> bool:
    if dns_granted(value.lower(), namespace, (*dns, *common_names)):
        return True
    return _text_granted(value, namespace, common_names)


def _foreign_dns(name: str, namespace: str, ca: str, cluster_domain: str) -> Finding:
    return Finding(
        reason=Reason.NAME_NOT_ALLOWED,
        message=(
            f"DNS name {name} is not one of namespace {namespace}: without a policy it may only have names under its"
            f" own services (*.{namespace}.svc, *.{namespace}.svc.{cluster_domain}); whoever may edit PrivateCA {ca}"
            " can grant more in spec.policy.dnsNames"
        ),
    )


def _not_granted(what: str, value: str, field: str, ca: str) -> Finding:
    return Finding(
        reason=Reason.NAME_NOT_ALLOWED,
        message=f"{what} {value} is not granted: whoever may edit PrivateCA {ca} can grant it in spec.policy.{field}",
    )


def _refused_request(spec: CertificateSpec, ca: PrivateCA) -> tuple[Finding, ...]:
    policy, where = ca.spec.policy, f"spec.policy of PrivateCA {ca.metadata.name}"
    found = [
        _denied(f'usage "{usage}" is not granted by {where}.usages')
        for usage in spec.usages or ca.spec.leaf.usages
        if usage not in policy.usages
    ]
    algorithm = spec.private_key.algorithm
    if algorithm not in policy.key_algorithms:
        found.append(_denied(f"key algorithm {algorithm} is not granted by {where}.keyAlgorithms"))
    wanted = spec.duration or ca.spec.leaf.duration
    if policy.max_duration is not None and wanted > policy.max_duration:
        found.append(_denied(f"duration {wanted} is longer than {where}.maxDuration ({policy.max_duration})"))
    return tuple(found)


def outside_constraints(
    names: AlternativeNames,
    common_name: str,
    usages: tuple[str, ...],
    signer: Certificate,
    above: tuple[Certificate, ...] = (),
) -> tuple[Finding, ...]:
    """Names and usages that the policy grants and yet clients would refuse under the limits of the chain.

    The same rule as when it signs, so that nothing is planned that is then refused: a wildcard must not touch what is
    excluded, and a common name that looks like a DNS name counts where there is no other. What is `above` the signer,
    up to the root, may be somebody else's, with constraints of its own.
    """
    found = [*_outside(names, common_name, signer, "widen spec.nameConstraints of the PrivateCA")]
    for each in above:
        found += _outside(names, common_name, each, "it cannot be widened: bring another CA, or ask for other names")
    for each in (signer, *above):
        found += _outside_purposes(usages, each)
    return tuple(Finding(reason=Reason.CONSTRAINT_VIOLATION, message=message) for message in found)


def _outside(names: AlternativeNames, common_name: str, authority: Certificate, advice: str) -> Iterator[str]:
    for name in identities(names, common_name):
        if dns_violation((name,), authority):
            yield (
                f"DNS name {name} is outside the name constraints of {_limited(authority)}: every client would refuse"
                f" the certificate; {advice}"
            )
    if authority.has_other_constraints and (names.ips or names.uris or names.emails):
        yield f"{_named(authority)} has name constraints beside DNS: only DNS names are issued by it"


def _outside_purposes(usages: tuple[str, ...], authority: Certificate) -> Iterator[str]:
    """Extended key usages of a CA are the only ones that clients accept below it; those of ours have none.

    For OpenSSL `any` is none of the others; Go takes it for all of them.
    """
    limits = authority.purposes
    if limits is None:
        return
    for usage in purposes_among(usages):
        if usage != Usage.ANY and usage not in limits:
            yield (
                f'usage "{usage}" is not one of those that {_named(authority)} is limited to ({", ".join(limits)}):'
                " clients would refuse the certificate; bring another CA, or ask for other usages"
            )


def _named(authority: Certificate) -> str:
    kind = "root" if authority.is_self_signed else "intermediate"
    return f"{kind} {authority.common_name or authority.subject_text}"


def _limited(authority: Certificate) -> str:
    permitted, excluded = ", ".join(authority.permitted_dns) or "all", ", ".join(authority.excluded_dns) or "none"
    return f"{_named(authority)} (permitted: {permitted}; excluded: {excluded})"
