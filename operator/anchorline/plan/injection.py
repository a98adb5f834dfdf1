"""Whether a pod is injected, and the JSON patch (RFC 6902) that does it."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec

from anchorline.api import naming
from anchorline.plan import injected
from anchorline.plan.injected import DEFAULT, JAVA_OPTIONS, VARIABLES, Injection, Outcome
from anchorline.plan.pod import Pod
from anchorline.plan.pod_sight import ContainerSight, PodSight, is_ordinary, look

__all__ = ["DEFAULT", "VARIABLES", "Decision", "Injection", "Outcome", "decide", "injection", "outcome"]

Operation = dict[str, Any]

_JAVA_OPTIONS_ELSEWHERE: Final = f"anchorline: {JAVA_OPTIONS} is set by valueFrom: Java gets no trust store from us"
_LABEL_PATH: Final = "/metadata/labels/" + naming.INJECTED_LABEL.replace("~", "~0").replace("/", "~1")
# A cluster starts pods of few templates at a time; a decision with its patch takes some ten kilobytes.
_DECISIONS_KEPT: Final = 256


@dataclass(frozen=True)
class Decision:
    """An outcome and, only with `Outcome.INJECTED`, the operations that bring it about.

    `warning` is a sentence for who creates the pod when a part of it could not be given what it asked for. Pods that
    look the same share one decision: it is read, never changed.
    """

    outcome: Outcome
    operations: tuple[Operation, ...] = ()
    warning: str = ""

    @cached_property
    def patch(self) -> bytes:
        """The operations as an AdmissionReview carries them: JSON in base64; made once for all pods that share it."""
        return base64.b64encode(msgspec.json.encode(self.operations)) if self.operations else b""


_LEFT_ALONE: Final = {outcome: Decision(outcome) for outcome in Outcome}


def injection(pod: Mapping[str, Any], *, spec: Injection = DEFAULT) -> list[Operation]:
    """JSON patch (RFC 6902) that injects the trust store; empty when there is nothing to do. See `decide`."""
    return list(decide(pod, spec=spec).operations)


def outcome(pod: Mapping[str, Any], *, spec: Injection = DEFAULT) -> Outcome:
    """Why something, or nothing, is injected into the pod. See `decide`."""
    return decide(pod, spec=spec).outcome


def decide(pod: object, *, spec: Injection = DEFAULT) -> Decision:
    """Decide what is injected into a `Pod`. Total (any JSON value), idempotent (a patched pod yields no operation).

    Every container and init container (sidecars are init containers) gets the mount and those variables that it does
    not set itself; ephemeral containers get nothing. Only `volumes`, `volumeMounts`, `env` and one label are touched.
    The one value that is changed is that of JAVA_TOOL_OPTIONS, with the format `jks`, and only by appending to it.

    - A container that already mounts the trust store elsewhere keeps that mount, and its variables point there.
    - A container with something else at our path is left alone: a variable must never name a file that is not there.
    - A volume that has our name and is something else: the whole pod is left alone, as two volumes of one name would
      make the API server refuse it.
    - `envFrom` is not looked into (its ConfigMap or Secret is not in the pod). Kubernetes lets `env` win over
      `envFrom`, so a variable that comes only from `envFrom` is overridden by ours: put it in `env`, or opt out.
    - Windows by node affinity alone is not recognised; `spec.os` and the node selector are.
    """
    try:
        seen = look(pod if isinstance(pod, Pod) else msgspec.convert(pod, Pod), spec)
    except msgspec.ValidationError:
        seen = Outcome.MALFORMED
    if isinstance(seen, Outcome):
        return _LEFT_ALONE[seen]
    return _remembered(seen, spec) if is_ordinary(seen) else _decided(seen, spec)


def _decided(pod: PodSight, spec: Injection) -> Decision:
    reached = [each for each in pod.containers if not each.taken]
    if not reached:
        return _LEFT_ALONE[Outcome.FOREIGN_MOUNT]
    operations = [operation for container in reached for operation in _into(container, spec)]
    if not pod.has_ours and any(each.store is None or each.store[0] == spec.volume for each in reached):
        operations.append(_append("/spec/volumes", injected.volume(spec), there=pod.volumes))
    operations.extend(_label(pod))
    warning = _JAVA_OPTIONS_ELSEWHERE if pod.java_elsewhere else ""
    return Decision(Outcome.INJECTED if operations else Outcome.ALREADY, tuple(operations), warning)


_remembered = lru_cache(maxsize=_DECISIONS_KEPT)(_decided)


def _into(container: ContainerSight, spec: Injection) -> Iterator[Operation]:
    if container.store is None:
        yield _append(f"{container.path}/volumeMounts", injected.mount(spec), there=container.mounts)
    where = spec.mount if container.store is None else container.store[1]
    wanted = injected.variables(where, spec)
    entries = [{"name": name, "value": value} for name, value in wanted.items() if name not in container.own]
    if container.env:
        yield from (_append(f"{container.path}/env", entry, there=True) for entry in entries)
    else:
        yield {"op": "add", "path": f"{container.path}/env", "value": entries}
    if container.java is not None:
        at, operation, value = container.java
        yield {"op": operation, "path": f"{container.path}/env/{at}/value", "value": value}


def _label(pod: PodSight) -> list[Operation]:
    """A rotation counts injected pods by this label, so it must be true whatever the pod's template says."""
    if pod.labelled:
        return []
    if not pod.labels:
        return [{"op": "add", "path": "/metadata/labels", "value": {naming.INJECTED_LABEL: "true"}}]
    return [{"op": "add", "path": _LABEL_PATH, "value": "true"}]


def _append(path: str, value: dict[str, Any], *, there: bool) -> Operation:
    """Append to a list, which RFC 6902 can only do when the list is there."""
    if there:
        return {"op": "add", "path": f"{path}/-", "value": value}
    return {"op": "add", "path": path, "value": [value]}
