"""What a person sees while binaries are built: a live display on a terminal, else one plain line each 15 seconds."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

_PLAIN_INTERVAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One program being built: the `position`th of `total`; packages compiled so far, of at most `packages`."""

    name: str
    position: int
    total: int
    compiled: int = 0
    packages: int = 0

    def __str__(self) -> str:
        seen = f", {self.compiled} of at most {self.packages} packages compiled" if self.packages else ""
        return f"building {self.name} ({self.position} of {self.total}{seen})"


class Display(Protocol):
    """Shows steps; `show` is called at least once a second while something is built."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, step: Step) -> None:
        """Tell about `step` as it is now."""


class Plain:
    """Lines on stderr: one when a step begins, one each 15 seconds, one with the time it all took."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._step = ""
        self._spoke = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._step and kind is None:
            print(f"built in {elapsed(time.monotonic() - self._began)}", file=sys.stderr)

    def show(self, step: Step) -> None:
        """Print when there is a new step, or nothing was said for a while."""
        now = time.monotonic()
        if step.name != self._step or now - self._spoke >= _PLAIN_INTERVAL_SECONDS:
            self._step, self._spoke = step.name, now
            print(f"{step}, {elapsed(now - self._began)} elapsed", file=sys.stderr, flush=True)


class Live:
    """A bar on the terminal, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("looking for what is there", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._progress.stop()

    def show(self, step: Step) -> None:
        """Redraw the bar."""
        self._progress.update(self._task, description=str(step), completed=step.compiled, total=step.packages or None)


def display() -> Display:
    """Return the display that suits stderr; plain when rich is not installed."""
    if not sys.stderr.isatty():
        return Plain()
    try:
        return Live()
    except ImportError:
        return Plain()


def elapsed(seconds: float) -> str:
    """Seconds for people: `42 s`, `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
