"""Processes and what they cost, as the kernel counts it: CPU seconds and resident memory."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from anchorline.lab import ports

_TICKS = os.sysconf("SC_CLK_TCK")
_KILO = 1024
_END_SECONDS = 30
# The image has no `kubernetes` package; kopf imports all of it where it is installed: 20 MB, half a second.
AS_IN_THE_IMAGE = """
import sys
sys.modules["kubernetes"] = None
from anchorline.cli.main import main
sys.exit(main())
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, with all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process in MB; VmHWM is the most that it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / _KILO
    raise LookupError(field)


def pid_of(program: str, folder: Path) -> int:
    """The process of a program whose command line names a file of `folder`."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _runs(entry, program, folder):
            return int(entry.name)
    raise LookupError(program)


def _runs(entry: Path, program: str, folder: Path) -> bool:
    try:
        command = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(command[0].decode()).name == program and any(str(folder).encode() in word for word in command)


def _compiled(folder: Path) -> dict[str, str]:
    """The environment, with bytecode that is kept: in the image everything is compiled before it starts."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


class Operator:
    """One `anchorline operator` as it runs in a pod: the service account's files, its own process."""

    def __init__(self, environment: Mapping[str, str], arguments: tuple[str, ...], log: Path) -> None:
        self._reserved = ports.reserved()
        self._port = ports.number(self._reserved)
        wrapper = tuple(os.environ.get("BENCH_WRAPPER", "").split())  # a profiler: `perf record -o /tmp/perf --`
        command = (*wrapper, sys.executable, "-c", AS_IN_THE_IMAGE, "operator", "--address", "127.0.0.1")
        self.began = time.perf_counter()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, "--health-port", str(self._port), *arguments],
                env={**_compiled(log.parent), **environment},
                stderr=errors,
            )
        self.pid = self._process.pid

    def metric(self, name: str) -> float:
        """One line of /metrics, 0 while it is not there."""
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def running(self) -> None:
        """Raises when the process has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the operator has ended ({self._process.returncode}); see its log")

    def end(self) -> None:
        """End it politely, or by force."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def operator(environment: Mapping[str, str], arguments: tuple[str, ...], log: Path) -> Iterator[Operator]:
    """An operator for the length of a block."""
    started = Operator(environment, arguments, log)
    try:
        yield started
    finally:
        started.end()
