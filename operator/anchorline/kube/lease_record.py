"""The coordination.k8s.io/v1 Lease object: reading it, and making the next one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a Lease says. `seconds` is how long its holder wants others to wait."""

    holder: str
    seconds: float
    transitions: int
    version: str

    @classmethod
    def of(cls, lease: Mapping[str, Any]) -> Self:
        """Read a Lease object; what is not there counts as nothing."""
        spec = lease.get("spec") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            seconds=float(spec.get("leaseDurationSeconds") or 0),
            transitions=int(spec.get("leaseTransitions") or 0),
            version=lease["metadata"].get("resourceVersion", ""),
        )


def fresh(namespace: str, name: str) -> Object:
    """A Lease that nobody holds."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {}}


def held(lease: Object, identity: str, seconds: float, wall_clock: float) -> Object:
    """The same Lease, taken or renewed by `identity` at `wall_clock` (seconds since 1970)."""
    before = Record.of(lease)
    now = micro_time(wall_clock)
    spec = {
        **(lease.get("spec") or {}),
        "holderIdentity": identity,
        "leaseDurationSeconds": max(1, math.ceil(seconds)),
        "renewTime": now,
    }
    if before.holder != identity:
        spec |= {"acquireTime": now, "leaseTransitions": before.transitions + bool(before.version)}
    return {**lease, "spec": spec}


def released(lease: Object, wall_clock: float) -> Object:
    """The same Lease, given up: the next one need not wait."""
    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(wall_clock)}
    return {**lease, "spec": spec}


def micro_time(wall_clock: float) -> str:
    """Kubernetes' MicroTime: RFC 3339, UTC, always six digits of a second."""
    return datetime.fromtimestamp(wall_clock, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
