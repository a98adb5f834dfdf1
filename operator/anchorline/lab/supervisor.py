"""The caller's end of a supervisor process: start it, tell it what to do, hear what went wrong."""

import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import anchorline
from anchorline import errors
from anchorline.lab.order import Order

_END_SECONDS = 120.0  # a node has many files to remove
_FAULTS: dict[str, type[errors.AnchorlineError]] = {
    kind.__name__: kind for kind in (errors.InvalidSpec, errors.NotReady, errors.ClusterError)
}


class Supervisor:
    """A running supervisor; it ends, and takes its lab away, when this process ends without `detach`."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._unread = b""
        self._released = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", order.module, json.dumps(asdict(order))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            # Ctrl-C on the terminal is the caller's business; the supervisor hears of it by the end of its stdin.
            start_new_session=True,
        )

    def await_answer(self) -> None:
        """Wait for the answer to a command, or to the start itself. Raises the error that the supervisor names."""
        # Two components are waited for one after the other, each with the whole deadline.
        line = self._line(time.monotonic() + 3 * self._order.deadline)
        if line == "ok":
            return
        verdict, _, rest = line.partition(" ")
        if verdict != "error":
            raise errors.ClusterError(f"The lab's supervisor failed: {line or 'it ended without a word'}")
        kind, message = json.loads(rest)
        raise _FAULTS.get(kind, errors.ClusterError)(message)

    def tell(self, command: str) -> None:
        """Give a command and wait until it is done. Raises `ClusterError` when the supervisor is gone or says so."""
        try:
            os.write(self._stdin(), f"{command}\n".encode())
        except OSError as error:
            raise errors.ClusterError("The lab's supervisor is gone, and the lab with it; start a new one.") from error
        self.await_answer()

    def close(self) -> None:
        """End the supervisor and with it the lab, and wait until both are gone; nothing after `release`."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        if self._released:
            return
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            # Its children die with it, by the kernel's hand.
            self._process.kill()
            self._process.wait()
        self._order.folder.remove()

    def release(self) -> None:
        """Let the lab run on after this process."""
        self.tell("detach")
        self._released = True
        # Popen warns about a process that still runs when it is forgotten; this one is meant to.
        self._process.returncode = 0

    def _stdin(self) -> int:
        if self._process.stdin is None or self._process.stdin.closed:
            raise errors.ClusterError("This lab was ended by its caller before; start a new one.")
        return self._process.stdin.fileno()

    def _line(self, end: float) -> str:
        """Read up to the next answer; what came before the process ended without one is returned as it is.

        Other lines are not meant for us: it waits for a lock, or a library warns.
        """
        if self._process.stdout is None or self._process.stdout.closed:
            return ""
        output, said = self._process.stdout.fileno(), b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                line, ended, rest = self._unread.partition(b"\n")
                if ended:
                    self._unread = rest
                    if line == b"ok" or line.startswith(b"error "):
                        return line.decode()
                    said += line + ended
                    continue
                if not selector.select(max(0.0, end - time.monotonic())):
                    return "it did not answer in time"
                chunk = os.read(output, 65536)
                if not chunk:
                    return (said + line).decode(errors="replace").strip()
                self._unread += chunk


def _environment() -> dict[str, str]:
    """The caller's environment without its proxies, and with our package to be found from a source tree too."""
    source = str(Path(anchorline.__file__).resolve().parents[1])
    known = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": os.pathsep.join(known), "PYTHONUNBUFFERED": "1"}
