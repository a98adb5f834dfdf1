"""Rotations of many PrivateCAs side by side, under one operator; the auditor judges every change of all of them."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from tests.auditor.beside import Beside
from tests.scenarios import arrivals, meddling, triggers
from tests.scenarios.stage import NOT_AUDITED, SCENARIOS
from tests.support.operator import Operator
from tests.support.rotation import LAG

pytestmark = [pytest.mark.contract, pytest.mark.timeout(420)]

assert SCENARIOS, (arrivals, meddling, triggers)  # they are found by being imported


@pytest.fixture(scope="module")
def auditor(operator: Operator) -> Iterator[Beside]:
    """The auditor of all scenarios but the one that cuts clients off on purpose."""
    with Beside(operator.site.plane.kubeconfig, LAG, f"--except={NOT_AUDITED}") as process:
        yield process


@pytest.fixture(scope="module")
def running(operator: Operator, auditor: Beside, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """All scenarios that this run has chosen, at work at the same time."""
    assert auditor.running
    calls = [
        item.callspec
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    names = [str(call.params["scenario"]) for call in calls if "scenario" in call.params]
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        yield {name: pool.submit(SCENARIOS[name], operator.site) for name in names}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(running: dict[str, Future[None]], scenario: str) -> None:
    running[scenario].result()


def test_the_auditor_is_silent(running: dict[str, Future[None]], auditor: Beside) -> None:
    wait(running.values())
    print(auditor.silent())
