"""Pods that run without the trust store of their namespace: created while the webhook was away."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from anchorline.api import naming
from anchorline.api.privateca import PodsWithoutTrust
from anchorline.plan import injection
from anchorline.plan.injection import Outcome
from anchorline.plan.world import NamespaceSeen, PodSeen

NAMED_AT_MOST: Final = 5
# Any pod, for what is decided by metadata alone.
_ANY_SPEC: Final[dict[str, Any]] = {"containers": [{}]}


def spared(metadata: Mapping[str, Any]) -> bool:
    """Whether a pod's metadata says that nothing is to be injected (or that it is being deleted)."""
    if metadata.get("deletionTimestamp") is not None:
        return True
    return injection.outcome({"metadata": metadata, "spec": _ANY_SPEC}) is not Outcome.INJECTED


def suspects(
    pods: Iterable[PodSeen], namespaces: Mapping[str, NamespaceSeen], exempt: Container[str], known: Container[str]
) -> Iterator[PodSeen]:
    """Those of the pods without our label that the webhook should have been asked about.

    Pods that are older than the label are none of them: their namespace had not asked. Times are whole seconds: a pod
    of the label's own second may have come before it. `exempt`: namespaces for which the webhook is never asked;
    `known`: uids of pods that were overlooked before, whatever has become of the label's value since.
    """
    for pod in pods:
        namespace = namespaces.get(pod.namespace)
        if namespace is None or pod.spared or pod.namespace in exempt or not _injects(namespace):
            continue
        if pod.uid in known or (namespace.labelled_since is not None and pod.created > namespace.labelled_since):
            yield pod


def _injects(namespace: NamespaceSeen) -> bool:
    return not namespace.deleting and naming.is_enabled(namespace.label(naming.TRUST))


def overlooked(pod: Mapping[str, Any]) -> bool:
    """Whether a whole pod would be given trust if it were created now: Windows, for one, is told by its spec alone.

    One that lacks nothing but our label has brought the trust store itself.
    """
    return any(not each["path"].startswith("/metadata/") for each in injection.injection(pod))


def summary(pods: tuple[str, ...]) -> PodsWithoutTrust | None:
    """What a status says of such pods; nothing when there are none."""
    return PodsWithoutTrust(count=len(pods), pods=tuple(sorted(pods)[:NAMED_AT_MOST])) if pods else None


def sentence(found: PodsWithoutTrust) -> str:
    """What they are and what to do, for the end of a condition's message."""
    names = named(found.pods, found.count)
    return f"{running(found.count)} created without them, as the webhook was away ({names}): restart them"


def running(count: int) -> str:
    """So many running pods, as the beginning of a sentence about what happened to them."""
    return "1 running pod was" if count == 1 else f"{count} running pods were"


def named(names: tuple[str, ...], count: int) -> str:
    """Some of `count` names, and whether there are more."""
    return ", ".join(names) + (", ..." if count > len(names) else "")
