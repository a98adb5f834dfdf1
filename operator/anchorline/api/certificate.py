"""Certificate: one leaf, its key and its chain in one Secret (namespaced)."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from anchorline.api.fields import (
    DNS_LABEL,
    Algorithm,
    Countries,
    DeletionPolicy,
    Duration,
    LongParts,
    SecretName,
    ShortParts,
    Usage,
)
from anchorline.api.markers import Rule, schema
from anchorline.api.meta import Condition, Metadata

# Names that are asked for: enough for any workload, and few enough for the size of a Secret and the cost of a rule.
DNSNames = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=253)], ...], schema(maxItems=100)]
IPAddresses = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=45)], ...], schema(maxItems=100)]
URIs = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=2048)], ...], schema(maxItems=100)]
EmailAddresses = Annotated[tuple[Annotated[str, schema(minLength=3, maxLength=254)], ...], schema(maxItems=100)]


class Encoding(StrEnum):
    """Form of tls.key: PKCS1 is the traditional one of the algorithm, PKCS8 works for all (cert-manager's words)."""

    PKCS1 = "PKCS1"
    PKCS8 = "PKCS8"


class RotationPolicy(StrEnum):
    """Whether a new certificate gets a new key."""

    ALWAYS = "Always"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class CARef:
    """The PrivateCA that issues."""

    name: Annotated[str, "Name of the PrivateCA.", schema(minLength=1, maxLength=63, pattern=DNS_LABEL)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafKey:
    """Key of the leaf."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.size)"
            " || (self.algorithm == 'ECDSA' && self.size in [256, 384, 521])"
            " || (self.algorithm == 'RSA' && self.size in [2048, 3072, 4096])",
            "size must be 256, 384 or 521 for ECDSA, 2048, 3072 or 4096 for RSA, and be left out for Ed25519",
        ),
        Rule(
            "!(self.algorithm == 'Ed25519' && self.encoding == 'PKCS1')",
            "Ed25519 keys have no PKCS1 form; use encoding: PKCS8",
        ),
    )

    algorithm: Annotated[Algorithm, "ECDSA (default), RSA, or Ed25519 (refused by browsers, gRPC and NSS)."] = (
        Algorithm.ECDSA
    )
    size: Annotated[int | None, "Bits: 256 (default), 384 or 521 for ECDSA; 2048 (default), 3072 or 4096 for RSA."] = (
        None
    )
    encoding: Annotated[Encoding, "PKCS8 (default) or PKCS1."] = Encoding.PKCS8
    rotation_policy: Annotated[
        RotationPolicy,
        "Always (default): each certificate has a new key. Never: the key is kept while it fits the spec.",
    ] = RotationPolicy.ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSubject:
    """Distinguished name of the leaf besides its common name (RFC 5280 4.1.2.6)."""

    organizations: Annotated[ShortParts, "Organizations (O)."] = ()
    organizational_units: Annotated[ShortParts, "Organizational units (OU)."] = ()
    countries: Annotated[Countries, "Countries (C), two letters each."] = ()
    localities: Annotated[LongParts, "Localities (L)."] = ()
    provinces: Annotated[LongParts, "States or provinces (ST)."] = ()
    street_addresses: Annotated[LongParts, "Street addresses."] = ()
    postal_codes: Annotated[LongParts, "Postal codes."] = ()
    serial_number: Annotated[str, "Serial number of the subject.", schema(maxLength=64)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretTemplate:
    """What the Secret carries besides its data; keys under anchorline.dev are ours and are refused."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.labels) || self.labels.all(k, !k.startsWith('anchorline.dev/'))",
            "labels under anchorline.dev/ belong to the operator; choose another prefix",
        ),
        Rule(
            "!has(self.annotations) || self.annotations.all(k, !k.startsWith('anchorline.dev/'))",
            "annotations under anchorline.dev/ belong to the operator; choose another prefix",
        ),
    )

    labels: Annotated[tuple[tuple[str, str], ...], "Labels of the Secret.", schema(maxProperties=32)] = ()
    annotations: Annotated[tuple[tuple[str, str], ...], "Annotations of the Secret.", schema(maxProperties=32)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSpec:
    """Desired certificate."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.dnsNames) && size(self.dnsNames) > 0)"
            " || (has(self.ipAddresses) && size(self.ipAddresses) > 0)"
            " || (has(self.uris) && size(self.uris) > 0)"
            " || (has(self.emailAddresses) && size(self.emailAddresses) > 0)",
            "give at least one of dnsNames, ipAddresses, uris, emailAddresses: clients ignore the common name",
        ),
        Rule(
            "!(has(self.renewBefore) && has(self.renewBeforePercentage))",
            "set renewBefore or renewBeforePercentage, not both",
        ),
        Rule("!has(self.duration) || duration(self.duration) >= duration('30s')", "duration must be at least 30s"),
        Rule(
            "!has(self.renewBefore) || duration(self.renewBefore) >= duration('1s')", "renewBefore must be at least 1s"
        ),
        Rule(
            "!has(self.renewBefore) || !has(self.duration) || duration(self.renewBefore) < duration(self.duration)",
            "renewBefore must be shorter than duration",
        ),
    )

    ca_ref: Annotated[CARef, "The PrivateCA that issues."]
    secret_name: Annotated[SecretName, "Secret for tls.crt, tls.key and ca.crt, in this namespace."]
    secret_template: Annotated[SecretTemplate, "Labels and annotations for the Secret."] = SecretTemplate()
    dns_names: Annotated[DNSNames, "DNS names."] = ()
    ip_addresses: Annotated[IPAddresses, "IP addresses; the PrivateCA's policy must grant them."] = ()
    uris: Annotated[URIs, "URIs; the PrivateCA's policy must grant them."] = ()
    email_addresses: Annotated[EmailAddresses, "E-mail addresses; the PrivateCA's policy must grant them."] = ()
    common_name: Annotated[
        str, "Common name; no client needs one. Only a granted name is accepted.", schema(maxLength=64)
    ] = ""
    subject: Annotated[LeafSubject, "Further parts of the distinguished name."] = field(default_factory=LeafSubject)
    usages: Annotated[
        tuple[Usage, ...], "Usages; by default those of the PrivateCA's `leaf`.", schema(maxItems=16)
    ] = ()
    duration: Annotated[
        Duration | None, "How long the certificate is valid; by default the PrivateCA's `leaf.duration`."
    ] = None
    renew_before: Annotated[
        Duration | None, "How long before its end it is renewed; by default a third of its life."
    ] = None
    renew_before_percentage: Annotated[
        int | None, "The same as a percentage of its life that is left.", schema(minimum=1, maximum=99)
    ] = None
    private_key: Annotated[LeafKey, "The key."] = field(default_factory=LeafKey)
    deletion_policy: Annotated[
        DeletionPolicy, "Delete (default): the Secret goes with the Certificate. Retain: it stays."
    ] = DeletionPolicy.DELETE


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """Observed certificate."""

    observed_generation: Annotated[int, "metadata.generation that was last acted on.", schema(minimum=0)] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        "Ready, Issuing.",
        schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    not_before: Annotated[datetime | None, "Start of its validity."] = None
    not_after: Annotated[datetime | None, "End of its validity."] = None
    renewal_time: Annotated[datetime | None, "When it will be renewed."] = None
    serial_number: Annotated[str, "Serial number, hex."] = ""
    fingerprint: Annotated[str, "SHA-256 of its DER, hex."] = ""
    authority: Annotated[int | None, "Generation of the root that it is under."] = None
    revision: Annotated[int, "How often it was issued.", schema(minimum=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate under a PrivateCA, kept in a Secret and renewed in time."""

    RULES: ClassVar[tuple[Rule, ...]] = ()

    metadata: Metadata
    spec: Annotated[CertificateSpec, "Desired certificate."]
    status: Annotated[CertificateStatus, "Observed certificate."] = CertificateStatus()
