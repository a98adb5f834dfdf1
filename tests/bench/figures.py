"""What a run of the bench found: figures with their targets, as a table and as JSON."""

import json
import operator
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

# Which values a slower machine makes larger (1) or smaller (-1); counts, sizes and ratios are the same everywhere.
SPEEDS = {"s": 1, "ms": 1, "/s": -1}
# What others do on this machine changes these from minute to minute: of several rounds the middle one tells most.
NOISY = {*SPEEDS, "x", "%"}
SIGNS = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value; `sign` and `limit` say what it must reach, `met` whether it does, None without a limit.

    `here` is the same limit at the speed of this machine, `met_here` whether the value keeps that one. `rounds`: what
    each of several rounds measured.
    """

    scenario: str
    name: str
    value: float
    unit: str = ""
    sign: str = ""
    limit: float = 0.0
    met: bool | None = None
    here: float | None = None
    met_here: bool | None = None
    rounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Collects the figures of one scenario and shows each as it comes.

    `slow`: how many times as long everything takes here as where the limits of times and rates were set. One of several
    rounds (`round`) is neither shown nor judged: the scenario is, by all of them.
    """

    scenario: str
    figures: list[Figure]
    slow: float = 1.0
    round: int = 0

    def note(self, name: str, value: float, unit: str = "") -> None:
        """A value without a limit."""
        self._judge(Figure(scenario=self.scenario, name=name, value=value, unit=unit))

    def most(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be above `limit`."""
        self._judge(Figure(scenario=self.scenario, name=name, value=value, unit=unit, sign="<=", limit=limit))

    def least(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be below `limit`."""
        self._judge(Figure(scenario=self.scenario, name=name, value=value, unit=unit, sign=">=", limit=limit))

    def rounds(self, count: int) -> list["Sheet"]:
        """Sheets for so many rounds of the scenario."""
        return [replace(self, figures=[], round=number) for number in range(1, count + 1)]

    def together(self, rounds: Iterable["Sheet"]) -> None:
        """Each figure over all rounds: the median of times, rates and ratios, the largest of counts and sizes."""
        sheets = list(rounds)
        whole = replace(self, slow=statistics.median(each.slow for each in sheets))
        measured: dict[str, list[Figure]] = {}
        for each in chain.from_iterable(sheet.figures for sheet in sheets):
            measured.setdefault(each.name, []).append(each)
        for same in measured.values():
            values = tuple(each.value for each in same)
            value = statistics.median(values) if same[0].unit in NOISY else max(values)
            whole._judge(replace(same[0], value=value, rounds=values))

    def _judge(self, figure: Figure) -> None:
        if figure.sign and not self.round:
            here = figure.limit * self.slow ** SPEEDS.get(figure.unit, 0)
            kept = SIGNS[figure.sign]
            met, met_here = kept(figure.value, figure.limit), kept(figure.value, here)
            figure = replace(figure, met=met, here=here, met_here=met_here)
        self.figures.append(figure)
        if not self.round:
            print(line(figure), flush=True)


def line(figure: Figure) -> str:
    """One figure as a line of the table."""
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    if figure.met is False and figure.unit in SPEEDS:
        verdict += f", {'met' if figure.met_here else 'MISSED'} at this machine's speed ({figure.here:,.3g})"
    target = f"{figure.sign} {figure.limit:g}" if figure.sign else ""
    shown = f"{figure.scenario:14} {figure.name:52} {_number(figure.value):>10} {figure.unit:4} {target:8} {verdict:6}"
    return f"{shown} {' | '.join(map(_number, figure.rounds))}".rstrip()


def _number(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"


def write(figures: Iterable[Figure], path: Path) -> None:
    """All figures as JSON."""
    path.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
