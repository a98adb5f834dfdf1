"""Which workloads are restarted in a rotation, a few at a time: those that asked for it and still run old pods."""

from collections.abc import Iterable
from dataclasses import dataclass

AT_A_TIME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet that may be restarted.

    `token` is the rotation that its pod template was last restarted for; `rolled_out` whether all its pods are of
    that template and ready; `old_pods` how many started before the new root could be read.
    """

    kind: str
    namespace: str
    name: str
    token: str = ""
    rolled_out: bool = True
    old_pods: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def restarts(workloads: Iterable[Workload], token: str, *, at_a_time: int = AT_A_TIME) -> tuple[Workload, ...]:
    """The workloads to restart now: one rollout each per rotation, and no more at once than `at_a_time`."""
    known = tuple(workloads)
    going_on = sum(1 for each in known if each.token == token and not each.rolled_out)
    # One whose last rollout is stuck is left alone: a second one on top would take its last good pods.
    ready = [each for each in known if each.token != token and each.old_pods and each.rolled_out]
    ready.sort(key=lambda each: (each.namespace, each.kind, each.name))
    return tuple(ready[: max(0, at_a_time - going_on)])


def token_of(authority: str, generation: int) -> str:
    """What a pod template carries once it was restarted for a rotation."""
    return f"{authority}-{generation}"
