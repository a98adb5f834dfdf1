"""Running traffic: clients that shake hands all the time, and the tally of how each handshake went."""

import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from anchorline.cli.demo import room
from anchorline.cli.demo.leash import Leashed, Order

PACE_SECONDS = 0.25
RUN_SECONDS = 20.0
Single = Callable[[int], tuple[list[str], dict[str, str]]]


class Tally:
    """Handshakes by client and phase, and each failure in words."""

    def __init__(self) -> None:
        self.phase = "before"
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """All handshakes."""
        return sum(self.counts.values())

    def count(self, client: str, wrong: str) -> None:
        """Note one handshake; `wrong` is empty when it went well."""
        with self._lock:
            self.counts[client, self.phase] += 1
            if wrong:
                self.failures.append(f"{client}, {self.phase}: {wrong}")

    def of(self, client: str) -> int:
        """Handshakes of one client."""
        return sum(count for (name, _), count in list(self.counts.items()) if name == client)


class Traffic:
    """All clients; they end with the stack."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.tally = Tally()
        self._folder = folder
        self._ended = threading.Event()
        self._running: dict[str, Leashed] = {}
        self._threads: list[threading.Thread] = []
        stack.callback(self.stop)

    @property
    def clients(self) -> list[str]:
        """Names of all clients that ever ran."""
        return list(dict.fromkeys([name for name, _ in list(self.tally.counts)]))

    def start(self, name: str, command: list[str], variables: dict[str, str] | None = None) -> None:
        """Start a client that lives long; its lines are counted."""
        log = str(self._folder / "clients.log")
        client = Leashed(Order(name=name, command=command, log=log, variables=variables or {}), stdout=subprocess.PIPE)
        self._running[name] = client
        self._thread(self._listen, name, client)

    def repeat(self, name: str, single: Single) -> None:
        """Run a program again and again; each run is one handshake."""
        self._thread(self._loop, name, single)

    def end(self, name: str) -> None:
        """End one client, as its pod ends."""
        self._running.pop(name).kill()

    def stop(self) -> None:
        """End all clients."""
        self._ended.set()
        for name in list(self._running):
            self.end(name)
        for thread in self._threads:
            thread.join(RUN_SECONDS + 5)

    def _thread(self, act: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=act, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self, name: str, client: Leashed) -> None:
        for line in client.words:
            verdict, _, wrong = line.decode(errors="replace").strip().partition(" ")
            self.tally.count(name, "" if verdict == "ok" else wrong or verdict)
        if self._running.get(name) is client and not self._ended.is_set():
            self.tally.count(name, f"the client ended: {client.last_words(3)}")

    def _loop(self, name: str, single: Single) -> None:
        turn = 0
        while not self._ended.wait(PACE_SECONDS):
            command, variables = single(turn)
            turn += 1
            wrong = _once(command, variables)
            if not self._ended.is_set():
                self.tally.count(name, wrong)


def _once(command: list[str], variables: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=RUN_SECONDS,
            check=False,
            env={"PATH": room.path(), "LANG": "C.UTF-8", **variables},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {RUN_SECONDS:.0f} s"
    return "" if done.returncode == 0 else " ".join((done.stderr + done.stdout).split())[:300]
