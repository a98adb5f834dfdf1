"""Rotations held in three phases while operators die, stand still and meet, and the cluster breaks under them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from tests.auditor.beside import Beside
from tests.scenarios.meddling import restored
from tests.support.lab import needs_own
from tests.support.operator import Object, Operator, Site, awaited
from tests.support.rotation import LAG, READ_ONCE, Rotation, seen, steadily

from anchorline.lab import ControlPlane

pytestmark = [pytest.mark.contract, pytest.mark.timeout(420)]

HELD = {
    "Distributing Active": {"propagation": "1h"},
    "Active Active": {"reissueOver": "60s"},
    "Active Retiring": {"overlap": "1h"},
}
LET_GO = {"propagation": "2s", "reissueOver": "1s", "overlap": "1s", "paused": False}
AWAY_SECONDS, LEASE_SECONDS = 6, 15


@dataclass
class Held:
    """A rotation in each phase, which it keeps until it is let go."""

    site: Site
    cases: dict[str, Rotation] = field(default_factory=dict)
    roots: dict[str, dict[int, str]] = field(default_factory=dict)

    def begin(self, stack: ExitStack) -> None:
        """Bring each into its phase."""
        for phases, times in HELD.items():
            case = self.cases[phases] = Rotation(self.site.api)
            stack.callback(case.end)
            case.begin(rotation=times)
            case.annotate(rotate="trouble")
        for phases, case in self.cases.items():
            case.until(phases)
            if phases == "Active Active":
                case.put(rotation={"paused": True})
            self.roots[phases] = case.roots()

    def same(self) -> bool:
        """Whether each is where it was, with the roots that it had."""
        return all(case.roots() == self.roots[phases] for phases, case in self.cases.items())

    def finish(self) -> None:
        """Let all of them go, and wait for their ends."""
        for case in self.cases.values():
            case.put(rotation=LET_GO)
        for case in self.cases.values():
            case.ended()


@pytest.fixture
def operators(site: Site) -> Iterator[tuple[Operator, Operator]]:
    """Two operators; the second is not started."""
    needs_own("breaks the API server")
    first, second = Operator(site, "pod-one"), Operator(site, "pod-two")
    try:
        yield first.start(), second
    finally:
        for each in (second, first):
            if each.running:
                each.kill()


def test_rotations_outlive_every_trouble(site: Site, operators: tuple[Operator, Operator]) -> None:
    held = Held(site)
    with ExitStack() as stack, Beside(site.plane.kubeconfig, LAG, READ_ONCE) as auditor:
        held.begin(stack)
        for trouble in (_away, _killed_before_another, _stands_still, _cluster_breaks, _restored_from_a_backup):
            trouble(held, *operators)
            steadily(held.same, f"after {trouble.__name__}: each rotation is where it was", 2)
            assert auditor.running, f"after {trouble.__name__}: {auditor.violation(1)}"
        held.finish()
        print(auditor.silent())


def _away(held: Held, first: Operator, second: Operator) -> None:
    """Nobody is there for a while."""
    assert not second.running
    first.kill()
    steadily(held.same, "nothing happens without an operator", AWAY_SECONDS)
    first.start(lead=False)
    awaited(lambda: first.leads, "it leads again", seconds=40)


def _killed_before_another(held: Held, first: Operator, second: Operator) -> None:
    """The leader dies, and the one that waited takes over; the first comes back as the one that waits."""
    second.start(lead=False)
    first.kill()
    awaited(lambda: second.leads, "the other leads", seconds=LEASE_SECONDS + 15)
    assert held.cases
    first.start(lead=False)


def _stands_still(held: Held, first: Operator, second: Operator) -> None:
    """The leader gets no processor time, and wakes up when another has long taken over."""
    second.suspend()
    awaited(lambda: first.leads, "the other leads", seconds=LEASE_SECONDS + 15)
    second.go_on()
    steadily(held.same, "two that think they lead do no harm", 3)
    assert first.leads


def _cluster_breaks(held: Held, first: Operator, second: Operator) -> None:
    """Etcd and the API server are killed and come back."""
    plane = held.site.plane
    assert isinstance(plane, ControlPlane)
    assert first.running
    assert second.running
    for component in ("kube-apiserver", "etcd"):
        plane.stop(component, kill=True)
        plane.start(component)
    seen(lambda: first.leads or second.leads, "one of them leads", 60)


def _restored_from_a_backup(held: Held, first: Operator, second: Operator) -> None:
    """A CA and all that is under it are gone, and come back as they were, with their status."""
    case = held.cases["Active Retiring"]
    kept = _backup(case)
    first.kill()
    second.kill()
    for each in kept:
        case.api.delete(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace", ""))
    for each in kept:
        _put_back(case, each)
    first.start(lead=False)
    awaited(lambda: first.leads, "it leads", seconds=LEASE_SECONDS + 25)
    case.ready()


def _backup(case: Rotation) -> list[Object]:
    """Secrets before what they belong to, as backup tools restore them."""
    found = [{**each, "kind": "Secret"} for each in (*case.secrets().values(), *case.leaves())]
    found += [{**case.ca, "kind": "PrivateCA"}]
    for namespace in case.namespaces:
        found += [{**each, "kind": "Certificate"} for each in case.api.list("Certificate", namespace)]
    return found


def _put_back(case: Rotation, kept: Object) -> None:
    kind, meta = kept["kind"], kept["metadata"]
    path = case.api.path(kind, meta["name"], meta.get("namespace", ""))
    seen(lambda: case.api.get(kind, meta["name"], meta.get("namespace", "")) is None, f"{path} is gone")
    made = case.api.create(restored(kept))
    if "status" in kept:
        case.api.call("PUT", f"{path}/status", {**made, "status": kept["status"]})
