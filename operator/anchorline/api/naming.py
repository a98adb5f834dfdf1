"""Every label, annotation, Secret key and derived object name; nothing else in the code spells one."""

from collections.abc import Iterable
from itertools import combinations
from typing import Final

GROUP: Final = "anchorline.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "anchorline"

# Labels and annotations of ours.
MANAGED_LABEL: Final = f"{GROUP}/managed"
MANAGED: Final = "true"
ROLE_LABEL: Final = f"{GROUP}/role"
AUTHORITY_LABEL: Final = f"{GROUP}/authority"
GENERATION_LABEL: Final = f"{GROUP}/generation"
NUMBER_LABEL: Final = f"{GROUP}/number"
CERTIFICATE_ANNOTATION: Final = f"{GROUP}/certificate-name"
PHASE_ANNOTATION: Final = f"{GROUP}/phase"
SINCE_ANNOTATION: Final = f"{GROUP}/phase-since"
CAUSE_ANNOTATION: Final = f"{GROUP}/cause"
SOURCE_ANNOTATION: Final = f"{GROUP}/source-secret"
ISSUED_UNTIL_ANNOTATION: Final = f"{GROUP}/issued-until"
KEEP_ANNOTATION: Final = f"{GROUP}/deletion-policy"
REVISION_ANNOTATION: Final = f"{GROUP}/revision"
REQUEST_ANNOTATION: Final = f"{GROUP}/request"
TEMPLATE_ANNOTATION: Final = f"{GROUP}/template"

# What users write.
TRUST: Final = f"{GROUP}/trust"  # annotation: CA names; label: one of TRUST_LABELS, ours
TRUST_ENABLED: Final = "enabled"
TRUST_FORMATS_ANNOTATION: Final = f"{GROUP}/trust-formats"
PUBLIC_ROOTS_ANNOTATION: Final = f"{GROUP}/public-roots"
INJECT_ANNOTATION: Final = f"{GROUP}/inject"
INJECTED_LABEL: Final = f"{GROUP}/injected"
ROTATE_ANNOTATION: Final = f"{GROUP}/rotate"
COMPROMISED_ANNOTATION: Final = f"{GROUP}/compromised"
RESTART_ANNOTATION: Final = f"{GROUP}/restart-on-rotation"
RESTARTED_ANNOTATION: Final = f"{GROUP}/restarted-for"
NUDGED_ANNOTATION: Final = f"{GROUP}/nudged"
AT_ONCE_ANNOTATION: Final = f"{GROUP}/compromised-now"

# Roles of our Secrets and ConfigMaps.
ROLE_ROOT: Final = "root"
ROLE_INTERMEDIATE: Final = "intermediate"
ROLE_RETIRED: Final = "retired"
ROLE_LEAF: Final = "leaf"
ROLE_TRUST_STORE: Final = "trust-store"
ROLE_WEBHOOK: Final = "webhook"

# Keys inside Secrets and ConfigMaps.
TLS_CERT: Final = "tls.crt"
TLS_KEY: Final = "tls.key"
CA_CERT: Final = "ca.crt"
BRIDGE_CERT: Final = "bridge.crt"
FULL_BUNDLE: Final = "ca-bundle.crt"
PRIVATE_BUNDLE: Final = "private-ca.crt"
JAVA_TRUSTSTORE: Final = "truststore.jks"
WGETRC_FILE: Final = "wgetrc"

# What a namespace may ask for besides the PEM bundles, in the order in which a label names them.
JKS: Final = "jks"
WGETRC: Final = "wgetrc"
TRUST_FORMATS: Final = (JKS, WGETRC)

TRUST_STORE: Final = "anchorline-trust"
TRUST_MOUNT: Final = "/etc/anchorline/trust"
TRUST_VOLUME: Final = "anchorline-trust"
WEBHOOK_SECRET: Final = "anchorline-webhook-tls"  # noqa: S105 - a name
LEASE: Final = "anchorline-operator"
WEBHOOK_CONFIGURATION: Final = "anchorline"

# The longest name of a PrivateCA: derived Secret names stay below 63 characters, names of labels.
MAX_CA_NAME: Final = 40


def root_secret(authority: str, generation: int) -> str:
    """Secret of one root: certificate, key when it is ours, bridge when there is one."""
    return f"{authority}-root-{generation}"


def intermediate_secret(authority: str, generation: int, number: int) -> str:
    """Secret of the `number`-th intermediate under root `generation`."""
    return f"{authority}-intermediate-{generation}-{number}"


def retired_secret(authority: str, generation: int) -> str:
    """Secret that keeps the certificate (never the key) of a root that is trusted no more."""
    return f"{authority}-retired-{generation}"


def trusted_names(annotation: str | None) -> tuple[str, ...]:
    """Names of the CAs in a trust annotation, in order, without doubles: `internal, partners` -> two names."""
    names = (part.strip() for part in (annotation or "").split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def trust_formats(annotation: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Formats that the annotation asks for, in our order, and its words that are none: `jks, p12` -> (jks,), (p12,)."""
    words = tuple(name.lower() for name in trusted_names(annotation))
    unknown = (word for word in words if word not in TRUST_FORMATS)
    return tuple(each for each in TRUST_FORMATS if each in words), tuple(dict.fromkeys(unknown))


def trust_label(formats: Iterable[str]) -> str:
    """Value of the namespace's label when pods are injected with these formats: `enabled.jks.wgetrc`."""
    chosen = tuple(formats)
    return ".".join((TRUST_ENABLED, *(each for each in TRUST_FORMATS if each in chosen)))


# Each value of the label, and the formats that it names; each has a webhook of its own in the configuration.
TRUST_LABELS: Final = {
    trust_label(formats): formats
    for count in range(len(TRUST_FORMATS) + 1)
    for formats in combinations(TRUST_FORMATS, count)
}


def is_enabled(label: str | None) -> bool:
    """Whether a value of the namespace's label switches injection on."""
    return label in TRUST_LABELS


def label_formats(label: str | None) -> tuple[str, ...]:
    """Formats that pods are injected with under this value of the namespace's label."""
    return TRUST_LABELS.get(label or "", ())


def webhook_name(formats: Iterable[str]) -> str:
    """Name of the webhook for these formats: `pods-jks.anchorline.dev`."""
    return f"{'-'.join(('pods', *formats))}.{GROUP}"


def webhook_path(formats: Iterable[str]) -> str:
    """Path at which the API server asks for injection with these formats: `/mutate/jks.wgetrc`."""
    return "/".join(("/mutate", *filter(None, (".".join(formats),))))
