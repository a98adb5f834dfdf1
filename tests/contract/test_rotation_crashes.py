"""A rotation of three namespaces and six certificates, once for each API write at which the operator is killed.

By default a few of the writes, spread over the rotation; ANCHORLINE_CRASHES=all: each, with its answer and without.
"""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue

import pytest
from tests.auditor.beside import Beside
from tests.scenarios.behind import stage
from tests.scenarios.proxy import Blow, Proxy
from tests.support.lab import needs_own
from tests.support.operator import Operator, Site, awaited
from tests.support.rotation import READ_ONCE, Rotation, seen

pytestmark = [pytest.mark.contract, pytest.mark.timeout(0)]

SAMPLES, PLANES = 6, 2
LEAF = {"duration": "12s"}
TIMES = {"propagation": "2s", "reissueOver": "0s", "overlap": "1s", "waitForPods": False}
Stages = SimpleQueue[tuple[Site, Proxy]]


class Target(Operator):
    """An operator that is going to be killed."""

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """Control planes to run on, one rotation at a time on each."""
    needs_own("puts a proxy before the API server")
    folder, free = tmp_path_factory.mktemp("crashes"), Stages()
    with ExitStack() as stack:
        for number in range(PLANES):
            free.put(stack.enter_context(stage(folder / str(number))))
        yield free


def rotated(stages: Stages, at: int, *, answer_lost: bool = False) -> list[str]:
    """One rotation, the operator killed at write `at` (0: never) and started again; all writes of it."""
    site, proxy = stages.get()
    operator = Target(site)
    case = Rotation(site.api)
    try:
        return _rotated(site, proxy, operator, case, at, answer_lost=answer_lost)
    finally:
        operator.kill()
        case.end()
        stages.put((site, proxy))


def _rotated(site: Site, proxy: Proxy, operator: Target, case: Rotation, at: int, *, answer_lost: bool) -> list[str]:
    operator.start()
    case.begin(namespaces=3, certificates=2, leaf=LEAF, rotation=TIMES)
    mark = site.audit.mark()
    with Beside(site.plane.kubeconfig, "--lag=1.2", READ_ONCE, f"--authority={case.name}") as auditor:
        proxy.arm(Blow(operator.pid, at, answer_lost) if at else None)
        case.annotate(rotate=f"crash {at}")
        if at:
            awaited(proxy.struck.is_set, f"write {at}; until now {proxy.writes}", seconds=120)
            operator.start(lead=False)
        case.ended(seconds=120)
        seen(lambda: len(case.leaves()) == 6, "six certificates")
        print(f"write {at}: {auditor.silent()}")
    assert_made_once(site, mark, case)
    return list(proxy.writes)


def assert_made_once(site: Site, mark: int, case: Rotation) -> None:
    """No root, intermediate or record was made twice."""
    made = [
        each for each in site.writes(mark) if each.verb == "create" and each.resource == "secrets" and each.code == 201
    ]
    counts = Counter(each.name for each in made if each.name.startswith(case.name))
    assert counts == {f"{case.name}-root-2": 1, f"{case.name}-intermediate-2-1": 1, f"{case.name}-retired-1": 1}


def chosen(number: int) -> list[tuple[int, bool]]:
    """At which writes to kill, and whether their answers are lost."""
    if os.environ.get("ANCHORLINE_CRASHES") == "all":
        return [(at, lost) for at in range(1, number + 1) for lost in (False, True)]
    spread = sorted({1 + round(step * (number - 1) / (SAMPLES - 1)) for step in range(SAMPLES)})
    return [(at, turn % 2 == 1) for turn, at in enumerate(spread)]


def test_the_operator_is_killed_at_each_write_of_a_rotation(stages: Stages) -> None:
    writes = rotated(stages, 0)
    print(f"{len(writes)} writes when nobody kills the operator")
    with ThreadPoolExecutor(PLANES) as pool:
        runs = {(at, lost): pool.submit(rotated, stages, at, answer_lost=lost) for at, lost in chosen(len(writes))}
        failed = {run: future.exception() for run, future in runs.items() if future.exception()}
    assert not failed, "\n".join(f"write {at}, answer lost: {lost}: {error}" for (at, lost), error in failed.items())
