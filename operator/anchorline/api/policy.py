"""Who may have which names from a PrivateCA: name constraints in its intermediate, and the policy of its issuing."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from anchorline.api.fields import Algorithm, Duration, LabelSelector, Usage
from anchorline.api.markers import Rule, rule, schema

# Patterns and domains, at most a hundred of each: the CEL rules over them have a bounded cost.
Domains = Annotated[
    tuple[
        Annotated[
            str,
            schema(minLength=1, maxLength=253),
            rule(
                "!self.startsWith('.')",
                "write the domain without a leading dot: some clients refuse the dotted form",
            ),
        ],
        ...,
    ],
    schema(maxItems=100),
]
Ranges = Annotated[
    tuple[
        Annotated[
            str,
            schema(minLength=1, maxLength=64),
            rule("isCIDR(self)", "write an IP range in CIDR form, such as 10.96.0.0/16"),
        ],
        ...,
    ],
    schema(maxItems=100),
]
CommonNames = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=64)], ...], schema(maxItems=100)]
Names = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=254)], ...], schema(maxItems=100)]
URIs = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=512)], ...], schema(maxItems=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameConstraints:
    """Name constraints on the intermediate (RFC 5280 4.2.1.10): DNS only, never with a leading dot."""

    enabled: Annotated[bool, "false leaves name constraints out (mbedTLS 2 refuses chains with critical ones)."] = True
    critical: Annotated[bool, "Whether the extension is critical, as RFC 5280 demands."] = True
    permitted_dns_domains: Annotated[
        Domains, "Permitted DNS subtrees; by default everything that `policy` can ever grant."
    ] = ()
    excluded_dns_domains: Annotated[Domains, "Excluded DNS subtrees."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may have which names. Names under a namespace's own services are always granted; all else is granted here."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.maxDuration) || duration(self.maxDuration) >= duration('30s')",
            "maxDuration must be at least 30s",
        ),
    )

    namespace_selector: Annotated[LabelSelector | None, "Namespaces that may have certificates; by default all."] = None
    dns_names: Annotated[
        Names,
        "Further DNS names: `db.acme.example`, `*.{namespace}.acme.example` (`*` is one label), `**.acme.example` (any"
        " depth); `{namespace}` is the asking namespace.",
    ] = ()
    common_names: Annotated[
        CommonNames,
        "Further common names, as patterns like dnsNames; a DNS name that is granted is always granted as common name.",
    ] = ()
    ip_ranges: Annotated[Ranges, "IP addresses, as CIDR ranges; none by default."] = ()
    uris: Annotated[
        URIs,
        "URI names, as patterns in which `*` stands for any characters but `/`, a final `**` for all the rest;"
        " `{namespace}` is the asking namespace.",
    ] = ()
    email_addresses: Annotated[Names, "E-mail names, as patterns like `*@acme.example`."] = ()
    usages: Annotated[tuple[Usage, ...], "Usages that may be asked for.", schema(maxItems=16, minItems=1)] = (
        Usage.DIGITAL_SIGNATURE,
        Usage.KEY_ENCIPHERMENT,
        Usage.KEY_AGREEMENT,
        Usage.SERVER_AUTH,
        Usage.CLIENT_AUTH,
    )
    key_algorithms: Annotated[
        tuple[Algorithm, ...], "Key algorithms that may be asked for.", schema(maxItems=3, minItems=1)
    ] = (
        Algorithm.ECDSA,
        Algorithm.RSA,
        Algorithm.ED25519,
    )
    max_duration: Annotated[
        Duration | None, "Longest duration that may be asked for; unset: as long as the chain lasts."
    ] = None
