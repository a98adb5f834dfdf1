"""PrivateCA: a root, its intermediate, who may have names from it, and where it is trusted (cluster-scoped)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from anchorline.api.fields import (
    CAKey,
    Countries,
    DeletionPolicy,
    Duration,
    LabelSelector,
    LongParts,
    SecretName,
    ShortParts,
    Usage,
)
from anchorline.api.markers import Rule, rule, schema
from anchorline.api.meta import Condition, Metadata
from anchorline.api.naming import MAX_CA_NAME
from anchorline.api.policy import NameConstraints, Policy

__all__ = [
    "CASubject",
    "GenerationStatus",
    "IntermediateSpec",
    "LeafDefaults",
    "NameConstraints",
    "Phase",
    "Policy",
    "PrivateCA",
    "PrivateCASpec",
    "PrivateCAStatus",
    "RootSource",
    "RootSpec",
    "Trust",
]


class RootSource(StrEnum):
    """Where the root comes from."""

    GENERATED = "Generated"
    SECRET = "Secret"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class CASubject:
    """Distinguished name of the CA's certificates (RFC 5280 4.1.2.6); the generation is added to the common name."""

    common_name: Annotated[str, "Common name, for people: `Acme Internal`.", schema(minLength=1, maxLength=48)]
    organizations: Annotated[ShortParts, "Organizations (O)."] = ()
    organizational_units: Annotated[ShortParts, "Organizational units (OU)."] = ()
    countries: Annotated[Countries, "Countries (C), two letters each."] = ()
    localities: Annotated[LongParts, "Localities (L)."] = ()
    provinces: Annotated[LongParts, "States or provinces (ST)."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSpec:
    """The root: generated here, or brought in a Secret."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(self.source == 'Secret') == has(self.secretName)",
            "set secretName together with source: Secret, and leave it out otherwise",
        ),
        Rule("duration(self.validity) >= duration('1h')", "validity must be at least 1h"),
        Rule(
            "!has(self.renewBefore) || duration(self.renewBefore) < duration(self.validity)",
            "renewBefore must be shorter than validity",
        ),
    )

    source: Annotated[
        RootSource,
        "Generated: Anchorline makes the root. Secret: you bring a root, or an intermediate with its chain.",
        rule(
            "self == oldSelf",
            "source cannot be changed; create another PrivateCA and let namespaces trust both while you move",
        ),
    ] = RootSource.GENERATED
    secret_name: Annotated[
        SecretName | None,
        "Secret in the operator's namespace with tls.crt (the CA, then its chain up to the root), tls.key, and ca.crt"
        " when tls.crt ends before the root. It is read, never changed.",
    ] = None
    key: Annotated[CAKey, "Key of a generated root."] = field(default_factory=CAKey)
    validity: Annotated[Duration, "How long a generated root is valid."] = timedelta(hours=87600)
    renew_before: Annotated[
        Duration | None, "How long before its end a generated root is replaced; by default a fifth of its life."
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateSpec:
    """The intermediate that signs leaves; renewed under the same root without ceremony."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("duration(self.validity) >= duration('1h')", "validity must be at least 1h"),
        Rule(
            "!has(self.renewBefore) || duration(self.renewBefore) < duration(self.validity)",
            "renewBefore must be shorter than validity",
        ),
    )

    key: Annotated[CAKey, "Key of the intermediate."] = field(default_factory=CAKey)
    validity: Annotated[Duration, "How long an intermediate is valid, capped at its root's end."] = timedelta(
        hours=8760
    )
    renew_before: Annotated[
        Duration | None,
        "How long before its end the next intermediate is made; by default a third of its life, and never so late that"
        " it would cap a leaf.",
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafDefaults:
    """Defaults for Certificates that do not say it themselves."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("duration(self.duration) >= duration('30s')", "duration must be at least 30s"),
    )

    duration: Annotated[Duration, "How long a leaf is valid."] = timedelta(hours=720)
    usages: Annotated[tuple[Usage, ...], "Usages of a leaf.", schema(maxItems=16, minItems=1)] = (
        Usage.DIGITAL_SIGNATURE,
        Usage.KEY_ENCIPHERMENT,
        Usage.SERVER_AUTH,
        Usage.CLIENT_AUTH,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Where the roots are trusted, besides the namespaces that ask by annotation."""

    namespace_selector: Annotated[LabelSelector | None, "Namespaces that get the trust store without asking."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How a root is replaced: what each step waits for."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "duration(self.propagation) >= duration('1s')",
            "propagation must be at least 1s; a kubelet brings a changed trust store within 90s",
        ),
    )

    propagation: Annotated[
        Duration, "How long running pods may take to read a changed trust store, and servers a changed Secret."
    ] = timedelta(minutes=10)
    reissue_over: Annotated[
        Duration, "Span over which certificates are issued anew under the new root; 0s: as fast as it goes."
    ] = timedelta(minutes=10)
    overlap: Annotated[
        Duration, "How long an old root stays trusted, at least, after the last certificate has left it."
    ] = timedelta(hours=168)
    wait_for_pods: Annotated[
        bool,
        "Whether an old root stays trusted while injected pods run that started before the new one could be read: such"
        " processes may have read their trust once.",
    ] = True
    paused: Annotated[bool, "Whether a rotation stands still between two steps."] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCASpec:
    """Desired state of a PrivateCA."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.subject) || self.root.source == 'Secret'",
            "set subject.commonName: a generated root needs a name",
        ),
    )

    subject: Annotated[
        CASubject | None, "Distinguished name of the CA; needed unless the root is brought in a Secret."
    ] = None
    root: Annotated[RootSpec, "The root."] = field(default_factory=RootSpec)
    intermediate: Annotated[IntermediateSpec, "The intermediate."] = field(default_factory=IntermediateSpec)
    name_constraints: Annotated[NameConstraints, "Name constraints on the intermediate."] = field(
        default_factory=NameConstraints
    )
    policy: Annotated[Policy, "Who may have which names."] = field(default_factory=Policy)
    leaf: Annotated[LeafDefaults, "Defaults for Certificates."] = field(default_factory=LeafDefaults)
    trust: Annotated[Trust, "Where the roots are trusted."] = field(default_factory=Trust)
    rotation: Annotated[Rotation, "How a root is replaced."] = field(default_factory=Rotation)
    deletion_policy: Annotated[
        DeletionPolicy,
        "Retain (default): keys and trust stay when the PrivateCA is deleted, and are taken up again when it comes"
        " back. Delete: both go.",
    ] = DeletionPolicy.RETAIN


class Phase(StrEnum):
    """Where a root is in its life (design: rotation of a root)."""

    DISTRIBUTING = "Distributing"
    ACTIVE = "Active"
    RETIRING = "Retiring"
    RETIRED = "Retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationStatus:
    """One root of this CA."""

    number: Annotated[int, "Generation, counted from 1.", schema(minimum=1)]
    phase: Annotated[Phase, "Distributing, Active, Retiring or Retired."]
    fingerprint: Annotated[str, "SHA-256 of the root's DER, hex."]
    subject: Annotated[str, "Subject of the root (RFC 4514)."]
    not_before: Annotated[datetime, "Start of the root's validity."]
    not_after: Annotated[datetime, "End of the root's validity."]
    secret_name: Annotated[str, "Secret in the operator's namespace that holds it."]
    since: Annotated[datetime | None, "When this phase began."] = None
    cause: Annotated[str, "Why this root was made."] = ""
    waiting_for: Annotated[str, "What this phase waits for."] = ""
    waiting_until: Annotated[datetime | None, "Until when it waits, as far as that is known."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsWithoutTrust:
    """Pods that were created without the trust store of their namespace, as the webhook was away."""

    count: Annotated[int, "How many there are.", schema(minimum=1)]
    pods: Annotated[tuple[str, ...], "Some of them, as NAMESPACE/NAME."] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCAStatus:
    """Observed state of a PrivateCA."""

    observed_generation: Annotated[int, "metadata.generation that was last acted on.", schema(minimum=0)] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        "Ready, Distributed, Rotating.",
        schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    generations: Annotated[
        tuple[GenerationStatus, ...],
        "Roots of this CA, newest first.",
        schema(**{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]}),
    ] = ()
    intermediate_not_after: Annotated[datetime | None, "End of the signing intermediate's validity."] = None
    public_roots: Annotated[str, "Source and version of the public roots in the trust stores."] = ""
    pods_without_trust: Annotated[
        PodsWithoutTrust | None,
        "Pods in namespaces that ask for these roots, and that were created without them; restart them.",
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateCA:
    """A private certificate authority that this cluster issues from and trusts."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.metadata.name.contains('.') && size(self.metadata.name) <= {MAX_CA_NAME}",
            f"metadata.name must have no dots and at most {MAX_CA_NAME} characters: Secrets are named after it",
        ),
    )

    metadata: Metadata
    spec: Annotated[PrivateCASpec, "Desired state."]
    status: Annotated[PrivateCAStatus, "Observed state."] = PrivateCAStatus()
