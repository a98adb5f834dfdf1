"""Field types that both custom resources share: names, durations, keys, subjects, selectors, and their schema."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from anchorline.api.markers import Rule, schema
from anchorline.api.times import DURATION_PATTERN

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

Strings = tuple[str, ...]
SecretName = Annotated[str, schema(minLength=1, maxLength=253, pattern=DNS_SUBDOMAIN)]

DURATION_SCHEMA = schema(maxLength=32, pattern=DURATION_PATTERN)
Duration = Annotated[timedelta, DURATION_SCHEMA]

# Parts of a distinguished name, with the upper bounds of RFC 5280 A.1: longer ones are refused by strict clients.
ShortParts = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=64)], ...], schema(maxItems=8)]
LongParts = Annotated[tuple[Annotated[str, schema(minLength=1, maxLength=128)], ...], schema(maxItems=8)]
Countries = Annotated[tuple[Annotated[str, schema(pattern="^[A-Z]{2}$", maxLength=2)], ...], schema(maxItems=8)]


class Usage(StrEnum):
    """Key usages and extended key usages, in cert-manager's words (RFC 5280 4.2.1.3, 4.2.1.12)."""

    DIGITAL_SIGNATURE = "digital signature"
    KEY_ENCIPHERMENT = "key encipherment"
    KEY_AGREEMENT = "key agreement"
    CONTENT_COMMITMENT = "content commitment"
    DATA_ENCIPHERMENT = "data encipherment"
    SERVER_AUTH = "server auth"
    CLIENT_AUTH = "client auth"
    CODE_SIGNING = "code signing"
    EMAIL_PROTECTION = "email protection"
    TIMESTAMPING = "timestamping"
    OCSP_SIGNING = "ocsp signing"
    ANY = "any"


class Algorithm(StrEnum):
    """Kind of key."""

    ECDSA = "ECDSA"
    RSA = "RSA"
    ED25519 = "Ed25519"


class CAAlgorithm(StrEnum):
    """Kind of a CA's key; Ed25519 is not among them because browsers, gRPC and NSS refuse such chains."""

    ECDSA = "ECDSA"
    RSA = "RSA"


class DeletionPolicy(StrEnum):
    """What becomes of the Secrets when the object is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class CAKey:
    """Key of a root or intermediate."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.size)"
            " || (self.algorithm == 'ECDSA' ? self.size in [256, 384] : self.size in [2048, 3072, 4096])",
            "size must be 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA; leave it out for the default",
        ),
    )

    algorithm: Annotated[CAAlgorithm, "ECDSA (default) or RSA."] = CAAlgorithm.ECDSA
    size: Annotated[int | None, "Bits: 256 (default) or 384 for ECDSA, 2048 (default), 3072 or 4096 for RSA."] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequirement:
    """One expression of a label selector."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "values go with operator In or NotIn, and must be left out for Exists and DoesNotExist",
        ),
    )

    key: Annotated[str, "Label key.", schema(minLength=1, maxLength=317)]
    operator: Annotated[
        str, "In, NotIn, Exists or DoesNotExist.", schema(enum=["In", "NotIn", "Exists", "DoesNotExist"])
    ]
    values: Annotated[Strings, "Values for In and NotIn.", schema(maxItems=64)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSelector:
    """Kubernetes' label selector: all parts must match; an empty selector matches everything."""

    match_labels: Annotated[
        tuple[tuple[str, str], ...], "Labels with exactly these values.", schema(maxProperties=64)
    ] = ()
    match_expressions: Annotated[tuple[LabelRequirement, ...], "Expressions over labels.", schema(maxItems=32)] = ()
