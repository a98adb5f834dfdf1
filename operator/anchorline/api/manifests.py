"""The two CustomResourceDefinitions, whole: names, columns, subresources, and the schema of their dataclasses."""

from dataclasses import dataclass
from typing import Any

from anchorline.api import naming
from anchorline.api.certificate import Certificate, CertificateSpec, CertificateStatus
from anchorline.api.markers import Rule
from anchorline.api.privateca import PrivateCA, PrivateCASpec, PrivateCAStatus
from anchorline.api.schema import object_schema, summary, validations

CATEGORY = "anchorline"

_READY = '.status.conditions[?(@.type=="Ready")]'
_ACTIVE = '.status.generations[?(@.phase=="Active")]'


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; a `wide` one shows with `-o wide` only."""

    name: str
    path: str
    text: str
    type: str = "string"
    wide: bool = False

    def manifest(self) -> dict[str, Any]:
        """The column in Kubernetes' words."""
        column = {"name": self.name, "type": self.type, "description": self.text, "jsonPath": self.path}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a CRD says besides its schema."""

    resource: type
    spec: type
    status: type
    rules: tuple[Rule, ...]
    plural: str
    short: str
    scope: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", type="date")

# Ends of validity are strings: `type: date` prints how long ago, and `<invalid>` for what lies ahead.
PRIVATE_CA = Kind(
    resource=PrivateCA,
    spec=PrivateCASpec,
    status=PrivateCAStatus,
    rules=PrivateCA.RULES,
    plural="privatecas",
    short="pca",
    scope="Cluster",
    columns=(
        Column("Ready", f"{_READY}.status", "Whether it can issue."),
        Column("Generation", f"{_ACTIVE}.number", "The root that signs.", type="integer"),
        Column("Root Expires", f"{_ACTIVE}.notAfter", "End of that root's validity."),
        Column("Reason", f"{_READY}.reason", "Why it is ready or not.", wide=True),
        _AGE,
    ),
)
CERTIFICATE = Kind(
    resource=Certificate,
    spec=CertificateSpec,
    status=CertificateStatus,
    rules=Certificate.RULES,
    plural="certificates",
    short="acert",
    scope="Namespaced",
    columns=(
        Column("Ready", f"{_READY}.status", "Whether the Secret holds a valid certificate."),
        Column("Secret", ".spec.secretName", "Secret that holds it."),
        Column("CA", ".spec.caRef.name", "PrivateCA that issues."),
        Column("Expires", ".status.notAfter", "End of its validity."),
        Column("Renewal", ".status.renewalTime", "When it will be renewed.", wide=True),
        Column("Status", f"{_READY}.message", "What is true of it, in a sentence.", wide=True),
        _AGE,
    ),
    selectable=(".spec.caRef.name", ".spec.secretName"),
)


def custom_resource_definitions() -> tuple[dict[str, Any], dict[str, Any]]:
    """The CRDs of PrivateCA and Certificate as plain values, new ones at each call."""
    return definition(PRIVATE_CA), definition(CERTIFICATE)


def definition(kind: Kind) -> dict[str, Any]:
    """One CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{naming.GROUP}"},
        "spec": {
            "group": naming.GROUP,
            "names": _names(kind),
            "scope": kind.scope,
            "versions": [_version(kind)],
        },
    }


def _names(kind: Kind) -> dict[str, Any]:
    name = kind.resource.__name__
    return {
        "kind": name,
        "listKind": f"{name}List",
        "plural": kind.plural,
        "singular": name.lower(),
        "shortNames": [kind.short],
        "categories": [CATEGORY],
    }


def _version(kind: Kind) -> dict[str, Any]:
    selectable = [{"jsonPath": path} for path in kind.selectable]
    return {
        "name": naming.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.manifest() for column in kind.columns],
        **({"selectableFields": selectable} if selectable else {}),
        "schema": {"openAPIV3Schema": _schema(kind)},
    }


def _schema(kind: Kind) -> dict[str, Any]:
    spec, status = object_schema(kind.spec), object_schema(kind.status, defaults=False)
    return {
        "type": "object",
        "description": summary(kind.resource),
        "properties": {
            "apiVersion": {"type": "string", "description": f"{naming.API_VERSION}."},
            "kind": {"type": "string", "description": f"{kind.resource.__name__}."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "required": ["spec"],
        **validations(kind.rules),
    }
