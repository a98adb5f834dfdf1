"""What a run of the bench found: figures with their targets, as a table and as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value; `target` says what it must reach in words, `met` whether it does, None without a target."""

    scenario: str
    name: str
    value: float
    unit: str = ""
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Collects the figures of one scenario and shows each as it comes."""

    scenario: str
    figures: list[Figure]

    def note(self, name: str, value: float, unit: str = "") -> None:
        """A value without a target."""
        self._add(Figure(scenario=self.scenario, name=name, value=value, unit=unit))

    def most(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be above `limit`."""
        self._judge(name, value, unit, f"<= {limit:g}", met=value <= limit)

    def least(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """A value that must not be below `limit`."""
        self._judge(name, value, unit, f">= {limit:g}", met=value >= limit)

    def _judge(self, name: str, value: float, unit: str, target: str, *, met: bool) -> None:
        self._add(Figure(scenario=self.scenario, name=name, value=value, unit=unit, target=target, met=met))

    def _add(self, figure: Figure) -> None:
        self.figures.append(figure)
        print(line(figure), flush=True)


def line(figure: Figure) -> str:
    """One figure as a line of the table."""
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    value = f"{figure.value:,.2f}" if abs(figure.value) < 100 else f"{figure.value:,.0f}"
    return f"{figure.scenario:14} {figure.name:52} {value:>10} {figure.unit:8} {figure.target:10} {verdict}".rstrip()


def write(figures: Iterable[Figure], path: Path) -> None:
    """All figures as JSON."""
    path.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")
