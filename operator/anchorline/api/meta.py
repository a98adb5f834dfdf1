"""Kubernetes object metadata as plain values: keys, object identity, conditions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from anchorline.api.markers import schema

# Of a condition's message (metav1.Condition).
MESSAGE_CHARACTERS = 32_768


class ObjectKey(NamedTuple):
    """What names one object: kind, namespace ("" when cluster-scoped), name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The part of `metadata` that a decision may need."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    created: datetime | None = None
    deleting: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    def label(self, name: str) -> str | None:
        """Value of a label, None when it is not there."""
        return next((value for key, value in self.labels if key == name), None)

    def annotation(self, name: str) -> str | None:
        """Value of an annotation, None when it is not there."""
        return next((value for key, value in self.annotations if key == name), None)


class ConditionStatus(StrEnum):
    """`status` of a condition (Kubernetes API conventions)."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One standard condition (metav1.Condition).

    Times are UTC; `last_transition_time` moves only when `status` does.
    """

    type: Annotated[str, "Kind of the condition.", schema(maxLength=316)]
    status: Annotated[ConditionStatus, "True, False or Unknown."]
    reason: Annotated[str, "One CamelCase word for machines.", schema(minLength=1, maxLength=1024)]
    message: Annotated[str, "One sentence for people.", schema(maxLength=MESSAGE_CHARACTERS)] = ""
    observed_generation: Annotated[int, "metadata.generation that this condition speaks of.", schema(minimum=0)] = 0
    last_transition_time: Annotated[datetime | None, "When the status last changed."] = None
