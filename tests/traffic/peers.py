"""The programs of the traffic: how each stack is built, and started as a server or as a client."""

import ctypes
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.operator import free_port

from anchorline.lab import golang

PROGRAMS = Path(__file__).with_name("programs")
SERVERS = ("go", "node", "java", "python", "nginx")
# Stack, and how it reads its trust.
CLIENTS = (
    *((stack, how) for stack in ("go", "node", "java", "python", "gnutls") for how in ("once", "reread")),
    ("curl", "reread"),
)
NEEDED, GNUTLS = ("node", "java", "javac", "curl"), "libgnutls.so.30"
JAVA = ["java", "-Xmx48m", "-XX:+UseSerialGC"]
_libc = ctypes.CDLL(None)


def build(folder: Path) -> None:
    """Compile what has to be, once."""
    environ = {**golang.environment(), "GO111MODULE": "off"}
    subprocess.run(
        [str(golang.toolchain()), "build", "-o", str(folder / "peer"), str(PROGRAMS / "peer.go")],
        check=True,
        env=environ,
    )
    subprocess.run(["javac", "-d", str(folder), str(PROGRAMS / "Peer.java")], check=True)


def missing() -> str:
    """What this machine lacks for the stacks that are always among them, "" when it has all."""
    lacking = [each for each in NEEDED if not shutil.which(each)]
    try:
        ctypes.CDLL(GNUTLS)
    except OSError:
        lacking.append(GNUTLS)
    return ", ".join(lacking)


def available() -> tuple[str, ...]:
    """Servers that this machine can run: nginx is not everywhere."""
    return tuple(each for each in SERVERS if each != "nginx" or shutil.which("nginx"))


def _program(stack: str, built: Path) -> list[str]:
    return {
        "go": [str(built / "peer")],
        "node": ["node", str(PROGRAMS / "peer.mjs")],
        "java": [*JAVA, "-cp", str(built), "Peer"],
        "python": [sys.executable, str(PROGRAMS / "peer.py")],
        "gnutls": [sys.executable, str(PROGRAMS / "gnutls.py")],
    }[stack]


def client(stack: str, how: str, pace: int, bundle: Path, built: Path, targets: Sequence[str]) -> list[str]:
    """The command of a client; `pace` are milliseconds between two handshakes of one of its loops."""
    rest = [str(bundle), str(pace), *targets]
    if stack == "curl":
        return [*_program("python", built), "curl", *rest]
    return [*_program(stack, built), how, *rest]


def start(command: list[str], log: Path, niceness: int = 0, **variables: str) -> subprocess.Popen[str]:
    """Start a program that ends with this process: call it from a thread that lives as long."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    with log.open("ab") as errors:
        return subprocess.Popen(
            command,
            env={**kept, "LANG": "C.UTF-8", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            bufsize=1,
            preexec_fn=functools.partial(_prepare, niceness),  # noqa: PLW1509 - two system calls, looked up before
        )


def _prepare(niceness: int) -> None:
    # nginx ends its workers when it is asked to end, not when it is killed.
    _libc.prctl(1, signal.SIGTERM)
    os.nice(niceness)


class Server:
    """A TLS server on loopback; the certificate in its folder is taken up when it changes."""

    def __init__(self, stack: str, name: str, folder: Path, built: Path, niceness: int = 0) -> None:
        self.stack, self.name, self.folder = stack, name, folder
        self._home = built / f"home-{stack}"
        self._home.mkdir()
        if stack == "nginx":
            self.port = free_port()
            command = ["nginx", "-p", str(self._home), "-c", self._configuration()]
            self._process = start(command, built / "servers.log", niceness)
        else:
            self._process = start([*_program(stack, built), "server", str(folder)], built / "servers.log", niceness)
            assert self._process.stdout is not None
            self.port = int(self._process.stdout.readline())

    def _configuration(self) -> str:
        text = (PROGRAMS / "nginx.conf").read_text()
        for word, value in (("FOLDER", self.folder), ("HOME", self._home), ("PORT", self.port)):
            text = text.replace(word, str(value))
        path = self._home / "nginx.conf"
        path.write_text(text)
        return str(path)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return self._process.poll() is None

    def swapped(self) -> None:
        """Its folder has changed; nginx has to be told, the others see it."""
        if self.stack == "nginx":
            self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
