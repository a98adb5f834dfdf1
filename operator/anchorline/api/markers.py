"""The words in which a dataclass field tells the CRD generator more than its type says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Schema:
    """OpenAPI v3 facts that are merged into a field's schema, in Kubernetes' own words (`maxItems`, `pattern`, ...)."""

    facts: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(repr(sorted(self.facts.items(), key=lambda item: item[0])))


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL validation (`x-kubernetes-validations`); `message` says what to do."""

    rule: str
    message: str


def schema(**facts: Any) -> Schema:  # noqa: ANN401 - OpenAPI facts are of any JSON type
    """Merge `facts` into the field's schema."""
    return Schema(facts)


def rule(expression: str, message: str) -> Rule:
    """Have the API server refuse a value for which the CEL `expression` is false."""
    return Rule(expression, message)
