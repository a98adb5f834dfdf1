"""Two operators on one real API server: only the leader writes, and when it dies the other takes over."""

from collections.abc import Iterator

import pytest
from tests.contract.conftest import Scene, a_scene, serial
from tests.support.operator import SYSTEM, Operator, Site, awaited

pytestmark = pytest.mark.contract
LEASE_SECONDS = 15


@pytest.fixture
def pair(site: Site) -> Iterator[tuple[Operator, Operator]]:
    """A leader, and one that waits."""
    first, second = Operator(site, "pod-first"), Operator(site, "pod-second")
    try:
        yield first.start(), second.start(lead=False)
    finally:
        second.end()
        first.end()


@pytest.fixture
def stage(site: Site, pair: tuple[Operator, Operator]) -> Iterator[Scene]:
    """A scene with both."""
    assert pair
    yield from a_scene(site)


def holder(site: Site) -> str:
    lease = site.api.get("Lease", "anchorline-operator", SYSTEM)
    return str((lease or {}).get("spec", {}).get("holderIdentity", ""))


def written(operator: Operator) -> float:
    """How many writes of objects this process made, by its own count, besides the Lease."""
    verbs = ("create", "update", "apply", "patch", "delete")
    kinds = ("secrets", "configmaps", "namespaces", "certificates", "privatecas", "events")
    return sum(operator.metric("anchorline_api_requests_total", verb=v, resource=r) for v in verbs for r in kinds)


def test_only_the_leader_writes_and_the_other_takes_over(stage: Scene, pair: tuple[Operator, Operator]) -> None:
    leader, other = pair
    ca = stage.ca()
    first = stage.issued(ca)
    stage.trust(ca)
    awaited(lambda: stage.labelled, "injection is on")
    assert (leader.leads, other.leads) == (True, False)
    assert other.ready, "one that waits is ready too"
    assert holder(stage.site) == "pod-first"
    assert written(leader) > 0
    assert written(other) == 0
    leader.kill()
    stage.certificate(ca, "later")
    awaited(lambda: other.leads, "the other leads", seconds=LEASE_SECONDS + 10)
    assert holder(stage.site) == "pod-second"
    stage.ready("Certificate", "later")
    other.idle()
    assert other.issued() == 1, "nothing is issued twice"
    assert serial(stage.secret()) == serial(first)
    assert len(stage.api.list("Secret", SYSTEM, f"anchorline.dev/authority={ca}")) == 2


@pytest.mark.usefixtures("counted")
def test_one_that_stops_hands_over_at_once(stage: Scene, pair: tuple[Operator, Operator]) -> None:
    leader, other = pair
    ca = stage.ca()
    stage.issued(ca)
    leader.idle()
    mark = stage.site.audit.mark()
    assert leader.stop() == 0
    awaited(lambda: other.leads, "the other leads", seconds=LEASE_SECONDS / 2)
    other.idle()
    assert stage.site.writes(mark) == [], "fail-over costs no writes"


def test_a_leader_that_was_away_writes_nothing_when_it_wakes(stage: Scene, pair: tuple[Operator, Operator]) -> None:
    """It stands still for longer than its Lease lasts: when it goes on, another one leads, and it stands back."""
    leader, other = pair
    ca = stage.ca()
    leader.idle()
    before = written(leader)
    leader.suspend()
    try:
        awaited(lambda: other.leads, "the other leads", seconds=LEASE_SECONDS + 10)
        stage.issued(ca)
    finally:
        leader.go_on()
    awaited(lambda: leader.get("/metrics")[0] == 200 and leader.metric("anchorline_leader") == 0, "it stands back")
    stage.issued(ca, "after")
    assert written(leader) == before
    assert holder(stage.site) == "pod-second"
    assert stage.secret()["metadata"]["annotations"]["anchorline.dev/revision"] == "1"
