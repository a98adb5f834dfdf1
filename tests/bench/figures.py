"""What a run of the bench found: figures with their targets, as a table and as JSON."""

import json
import operator
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

# Which values a slower machine makes larger (1) or smaller (-1); counts, sizes and ratios are the same everywhere.
SPEEDS = {"s": 1, "ms": 1, "/s": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value; `target` says what it must reach in words, `met` whether it does, None without a target.

    `here` is the same limit at the speed of this machine, `met_here` whether the value keeps that one.
    """

    scenario: str
    name: str
    value: float
    unit: str = ""
    target: str = ""
    met: bool | None = None
    here: float | None = None
    met_here: bool | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Collects the figures of one scenario and shows each as it comes.

    `slow`: how many times as long everything takes here as where the limits of times and rates were set.
    """

    scenario: str
    figures: list[Figure]
    slow: float = 1.0

    def note(self, name: str, value: float, unit: str = "") -> None:
        """A value without a target."""
        self._add(Figure(scenario=self.scenario, name=name, value=value, unit=unit))

    def most(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be above `limit`."""
        self._judge(name, value, limit, unit, "<=")

    def least(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be below `limit`."""
        self._judge(name, value, limit, unit, ">=")

    def _judge(self, name: str, value: float, limit: float, unit: str, sign: str) -> None:
        here = limit * self.slow ** SPEEDS.get(unit, 0)
        kept = operator.le if sign == "<=" else operator.ge
        figure = Figure(
            scenario=self.scenario,
            name=name,
            value=value,
            unit=unit,
            target=f"{sign} {limit:g}",
            met=kept(value, limit),
            here=here,
            met_here=kept(value, here),
        )
        self._add(figure)

    def _add(self, figure: Figure) -> None:
        self.figures.append(figure)
        print(line(figure), flush=True)


def line(figure: Figure) -> str:
    """One figure as a line of the table."""
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    if figure.met is False and figure.unit in SPEEDS:
        verdict += f", {'met' if figure.met_here else 'MISSED'} at this machine's speed ({figure.here:,.3g})"
    value = f"{figure.value:,.2f}" if abs(figure.value) < 100 else f"{figure.value:,.0f}"
    return f"{figure.scenario:14} {figure.name:52} {value:>10} {figure.unit:8} {figure.target:10} {verdict}".rstrip()


def write(figures: Iterable[Figure], path: Path) -> None:
    """All figures as JSON."""
    path.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
