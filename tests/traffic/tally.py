"""Who shook hands with whom in which phase, and every failure in words."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

FAILURES_SHOWN = 3  # of one client with one server in one phase


@dataclass
class Tally:
    """Counts; lines of clients come from many threads."""

    phase: str = "before"
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, client: str, line: str) -> None:
        """Take a line of a client: `ok SERVER`, or `fail SERVER WHY`."""
        verdict, _, rest = line.strip().partition(" ")
        server, _, why = rest.partition(" ")
        key = (client, server.split(".")[0], self.phase)
        with self._lock:
            self.counts[key] += 1
            if verdict != "ok":
                self._failure(key, why or line)

    def broken(self, client: str, why: str) -> None:
        """A client has ended by itself."""
        with self._lock:
            self._failure((client, "-", self.phase), why)

    def _failure(self, key: tuple[str, str, str], why: str) -> None:
        self.failed[key] += 1
        if self.failed[key] <= FAILURES_SHOWN:
            self.failures.append(f"{time.monotonic() - self.begun:6.1f} s  {' -> '.join(key[:2])}, {key[2]}: {why}")

    @property
    def total(self) -> int:
        """All handshakes."""
        return sum(self.counts.values())

    def report(self) -> str:
        """Handshakes and failures by client, server and phase, and the rate."""
        seconds = time.monotonic() - self.begun
        parts = [self._table("client", lambda key: key[0]), self._table("server", lambda key: key[1])]
        parts.append(self._table("phase", lambda key: key[2]))
        total = f"{self.total} handshakes, {sum(self.failed.values())} failed, in {seconds:.0f} s"
        return "\n".join([*parts, f"{total}: {self.total / seconds:.0f}/s", *self.failures])

    def _table(self, title: str, of: Callable[[tuple[str, str, str]], str]) -> str:
        done: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for key, count in self.counts.items():
            done[of(key)] += count
        for key, count in self.failed.items():
            failed[of(key)] += count
        rows = [f"  {name:<22}{done[name]:>9}{failed[name]:>8}" for name in sorted(done | failed)]
        return "\n".join([f"  {title:<22}{'shaken':>9}{'failed':>8}", *rows])
