"""A rotation of three namespaces and six certificates, once for each API write at which the operator is killed.

Every other time so that it never learns that the write was done; ANCHORLINE_CRASHES=all: each write both ways.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.auditor.beside import Beside
from tests.scenarios.behind import stage
from tests.scenarios.proxy import Blow, Proxy, Weather
from tests.support.lab import needs_own
from tests.support.operator import Operator, Site, awaited
from tests.support.rotation import READ_ONCE, Rotation, seen

pytestmark = [pytest.mark.contract, pytest.mark.timeout(0)]

WEATHERS = 2
PLANES = 6  # a rotation waits most of its time: one alone leaves the machine idle
# A certificate is not renewed before an old root has waited for its end: what is written is the rotation's.
LIFE, LEAF = {"duration": "10s"}, {"renewBefore": "1s"}
TIMES = {"propagation": "2s", "reissueOver": "0s", "overlap": "1s", "waitForPods": False}


@dataclass(frozen=True)
class Outcome:
    """What one rotation did, and how it ended, in words that are the same for every PrivateCA."""

    writes: tuple[str, ...]
    secrets: frozenset[str]
    generations: tuple[tuple[str, ...], ...]
    served: frozenset[int]

    @property
    def end(self) -> object:
        """What must be equal, wherever the operator was killed."""
        return self.secrets, self.generations, self.served


class Target(Operator):
    """An operator that is going to be killed."""

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid


@dataclass(frozen=True)
class Stage:
    """A control plane with an operator, on which one rotation runs at a time."""

    site: Site
    proxy: Proxy
    operator: Target

    def act(self, play: Callable[[Rotation], None]) -> Outcome:
        """Have a PrivateCA rotate as `play` says; how it ended. The auditor was silent, and nothing was made twice."""
        case = Rotation(self.site.api, leaf=LEAF)
        try:
            case.begin(namespaces=3, certificates=2, leaf=LIFE, rotation=TIMES)
            mark = self.site.audit.mark()
            with Beside(self.site.plane.kubeconfig, "--lag=1.2", READ_ONCE, f"--authority={case.name}") as auditor:
                play(case)
                case.ended(seconds=240)
                seen(lambda: len(case.leaves()) == 6, "six certificates")
                self.proxy.brew(None)
                print(auditor.silent())
            assert_made_once(self.site, mark, case)
            return outcome(self.proxy, case)
        finally:
            self.proxy.brew(None)
            case.end()
            if not self.operator.running:
                self.operator.start()


class Stages:
    """Stages that are free, and threads for as many as there are."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._free = SimpleQueue[Stage]()
        self._folder, self._stack = folder, stack
        # Control planes and operators end with the threads that start them.
        self._threads = ThreadPoolExecutor(PLANES)
        stack.callback(self._threads.shutdown, cancel_futures=True)
        for each in self._threads.map(self._raised, range(PLANES)):
            self._free.put(each)

    def _raised(self, number: int) -> Stage:
        site, proxy = self._stack.enter_context(stage(self._folder / str(number)))
        operator = Target(site)
        self._stack.callback(operator.kill)
        return Stage(site, proxy, operator.start())

    def submit(self, act: Callable[[Stage], Outcome]) -> Future[Outcome]:
        """Have something done on a stage as soon as one is free."""
        return self._threads.submit(self._on_a_free_one, act)

    def _on_a_free_one(self, act: Callable[[Stage], Outcome]) -> Outcome:
        free = self._free.get()
        try:
            return act(free)
        finally:
            self._free.put(free)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """Control planes that everything here runs on."""
    needs_own("puts a proxy before the API server")
    with ExitStack() as stack:
        yield Stages(tmp_path_factory.mktemp("crashes"), stack)


@pytest.fixture(scope="module")
def beaten(stages: Stages) -> dict[int, Future[Outcome]]:
    """Rotations through bad weather, at work beside the others."""
    return {seed: stages.submit(through(Weather(seed))) for seed in range(WEATHERS)}


def killed(at: int, *, answer_lost: bool = False) -> Callable[[Stage], Outcome]:
    """A rotation whose operator is killed at write `at` (0: never) and started again."""

    def act(on: Stage) -> Outcome:
        def play(case: Rotation) -> None:
            on.proxy.arm(Blow(on.operator.pid, at, answer_lost) if at else None, case.name)
            case.annotate(rotate="crash")
            if at:
                awaited(on.proxy.struck.is_set, f"write {at}; until now {on.proxy.writes}", seconds=120)
                on.operator.start(lead=False)

        return on.act(play)

    return act


def through(weather: Weather) -> Callable[[Stage], Outcome]:
    """A rotation through an API server that answers badly; the operator survives that."""

    def act(on: Stage) -> Outcome:
        def play(case: Rotation) -> None:
            on.proxy.arm(None, case.name)
            on.proxy.brew(weather)
            case.annotate(rotate="crash")

        before = on.operator.pid
        ended = on.act(play)
        assert on.operator.pid == before
        return ended

    return act


def outcome(proxy: Proxy, case: Rotation) -> Outcome:
    """What is left when it is over."""
    told = [(str(each["number"]), each["phase"], each["cause"]) for each in case.ca["status"]["generations"]]
    secrets = frozenset(name.removeprefix(case.name) for name in case.secrets())
    return Outcome(tuple(proxy.writes), secrets, tuple(told), frozenset(case.chain_lengths()))


def assert_made_once(site: Site, mark: int, case: Rotation) -> None:
    """No root, intermediate or record was made twice."""
    made = [
        each for each in site.writes(mark) if each.verb == "create" and each.resource == "secrets" and each.code == 201
    ]
    counts = Counter(each.name for each in made if each.name.startswith(case.name))
    assert counts == {f"{case.name}-root-2": 1, f"{case.name}-intermediate-2-1": 1, f"{case.name}-retired-1": 1}


def chosen(number: int) -> list[tuple[int, bool]]:
    """At which writes to kill, and whether their answers are lost."""
    both = os.environ.get("ANCHORLINE_CRASHES") == "all"
    return [(at, lost) for at in range(1, number + 1) for lost in (False, True) if both or lost == (at % 2 == 1)]


def test_a_rotation_outlives_the_operator_killed_at_each_of_its_writes(
    stages: Stages, beaten: dict[int, Future[Outcome]]
) -> None:
    assert beaten
    whole = stages.submit(killed(0)).result()
    print(f"{len(whole.writes)} writes when nobody kills the operator", *whole.writes, sep="\n  ")
    runs = {run: stages.submit(killed(run[0], answer_lost=run[1])) for run in chosen(len(whole.writes))}
    failed = {run: future.exception() for run, future in runs.items() if future.exception()}
    assert not failed, "\n".join(f"write {at}, answer lost: {lost}: {error}" for (at, lost), error in failed.items())
    assert {run: future.result().end for run, future in runs.items()} == dict.fromkeys(runs, whole.end)


@pytest.mark.parametrize("seed", range(WEATHERS))
def test_a_rotation_outlives_an_api_server_that_answers_badly(
    stages: Stages, beaten: dict[int, Future[Outcome]], seed: int
) -> None:
    """Three writes of ten are refused, or done and their answers lost; every watch is too old after seconds."""
    assert stages
    assert beaten[seed].result().end
