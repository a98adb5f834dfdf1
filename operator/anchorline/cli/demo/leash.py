"""Processes that end with the one that started them, however that ends: asked, thrown out, or killed."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_TERM_SECONDS = 10.0
# Looked up before any fork, so that nothing is loaded between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A process to run: what, with which variables besides (or instead of) ours, where its words go."""

    name: str
    command: list[str]
    log: str
    variables: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what `Order(**...)` takes."""
        return asdict(self)


class Leashed:
    """A running process. It is ended by `stop`, `kill`, or our own death."""

    def __init__(self, order: Order, *, stdout: int | None = None) -> None:
        self.order = order
        with Path(order.log).open("ab") as log:
            self._process = subprocess.Popen(
                order.command,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                env=without_proxies(os.environ) | order.variables,
                # Ctrl-C is for us alone; we end them in our own order.
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing but one system call
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    @property
    def words(self) -> IO[bytes]:
        """What it prints, when it was started with a pipe."""
        assert self._process.stdout is not None  # noqa: S101 - of the caller's making
        return self._process.stdout

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        self._process.terminate()
        try:
            self._process.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self, lines: int = 8) -> str:
        """Return the end of its log."""
        return "\n".join(Path(self.order.log).read_text(errors="replace").splitlines()[-lines:])


def die_with_parent() -> None:
    """Between fork and exec: ask the kernel to kill this process when its parent dies, however it dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def without_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """Our variables without proxies: everything here is on loopback."""
    return {name: value for name, value in variables.items() if not name.lower().endswith("_proxy")}
