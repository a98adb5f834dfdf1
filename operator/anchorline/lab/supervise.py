"""The supervisor process of one lab: `python -m anchorline.lab.supervise ORDER`.

It makes the folder, starts the components, and takes both away again when it is told to, when its caller dies, or when
it gets a signal. Talk is one line each: commands on stdin (`start NAME`, `stop NAME`, `kill NAME`, `detach`), answers
on stdout (`ok`, `error SENTENCE` as JSON). The end of stdin is the death of the caller, unless it said `detach` before.
"""

import datetime as dt
import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from anchorline import errors
from anchorline.lab import components, locks, material
from anchorline.lab.children import Child, Probe
from anchorline.lab.folder import ComponentState, Folder, State
from anchorline.lab.order import Order
from anchorline.lab.ports import LOOPBACK, Ports, Reserved

_TICK_SECONDS = 0.25
_READY_TICK_SECONDS = 0.05
_LOCK_SECONDS = 3.0

OrderT = TypeVar("OrderT", bound=Order)


class Abandoned(Exception):
    """The caller is gone, or a signal asked for the end."""


class Caller:
    """The other end of stdin and stdout, and whether it is still there."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._attached = True
        self._unread = b""
        self._ended = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)

    def _end(self, *_: object) -> None:
        self._ended = True

    def detach(self) -> None:
        """Go on without the caller from here; only a signal ends the lab then."""
        self._attached = False

    def wait(self, seconds: float) -> None:
        """Let time pass, but not longer than until the caller says something. Raises `Abandoned`."""
        ready, _, _ = select.select([0] if self._attached else [], [], [], seconds)
        if ready:
            chunk = os.read(0, 4096)
            self._unread += chunk
            self._ended |= not chunk
        # A pipe's other end can be inherited by a stranger and stay open: the parent's death counts by itself.
        orphaned = self._attached and os.getppid() != self._pid
        if self._ended or orphaned:
            raise Abandoned

    def commands(self) -> list[str]:
        """Return what the caller said in whole lines since the last time."""
        *lines, self._unread = self._unread.split(b"\n")
        return [line.decode() for line in lines]

    def answer(self, line: str) -> None:
        """Say one line; a caller that does not listen any more is no error."""
        try:
            os.write(1, f"{line}\n".encode())
        except BrokenPipeError:
            self._ended = self._attached


class Supervisor:
    """The components of one lab, in the order in which they start."""

    def __init__(self, order: Order, caller: Caller) -> None:
        self._order = order
        self._caller = caller
        self._folder = order.folder
        self._reserved = Reserved(order.port)
        ports = self._reserved.ports
        self._server = f"https://{LOOPBACK}:{ports.apiserver}"
        material.fill(self._folder, self._server, dt.datetime.fromtimestamp(time.time(), tz=dt.UTC))
        binaries = {name: Path(path) for name, path in order.binaries.items()}
        self._children = {each.name: Child(each, self._folder) for each in self._components(ports, binaries)}
        self._probe = Probe(self._folder)
        self._since = time.time()
        self._written: State | None = None

    def bring_up(self) -> None:
        """Start everything and wait until the first service account is there: then every component has worked once."""
        self._children["etcd"].start()
        self._children["kube-apiserver"].start()
        self._await("kube-apiserver")
        self._children["kube-controller-manager"].start()
        self._await("kube-controller-manager")
        account = f"{self._server}/api/v1/namespaces/default/serviceaccounts/default"
        self._await("kube-controller-manager", account)
        self._write_state()

    def serve(self) -> None:
        """Follow the caller's commands until `Abandoned`."""
        while True:
            self._caller.wait(_TICK_SECONDS)
            for line in self._caller.commands():
                self._obey(line)
            self._write_state()

    def end(self) -> None:
        """Kill every component; nothing of theirs is kept."""
        for child in reversed(self._children.values()):
            child.stop(kill=True)

    def _components(self, ports: Ports, binaries: dict[str, Path]) -> tuple[components.Component, ...]:
        """Return what runs here."""
        return components.all_of(self._folder, ports, binaries, fsync=self._order.fsync)

    def _process(self) -> int:
        """Return the process that ends the lab when it is told to."""
        return os.getpid()

    def _obey(self, line: str) -> None:
        verb, _, name = line.partition(" ")
        try:
            match verb:
                case "detach":
                    self._caller.detach()
                case "start":
                    self._start(name)
                case "stop" | "kill":
                    self._children[name].stop(kill=verb == "kill")
                case _:
                    raise errors.InvalidSpec(f"The lab's supervisor does not know the command {line!r}.")
            self._write_state()
            self._caller.answer("ok")
        except errors.AnchorlineError as error:
            self._caller.answer(error_line(error))

    def _start(self, name: str) -> None:
        if not self._children[name].running:
            self._children[name].start()
        self._await(name)
        if name == "etcd" and self._children["kube-apiserver"].running:
            self._await("kube-apiserver")

    def _await(self, name: str, url: str | None = None) -> None:
        """Wait until a component answers. Raises `ClusterError` when it ends instead, or the deadline passes."""
        address = url or self._children[name].component.ready_url
        self._until(name, lambda: self._probe.answers(address))

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until `ready`; otherwise as `_await`."""
        child = self._children[name]
        end = time.monotonic() + self._order.deadline
        while not ready():
            for other in self._children.values():
                if other.pid and not other.running and (other is child or name == "kube-apiserver"):
                    raise errors.ClusterError(_ended(other))
            if time.monotonic() > end:
                raise errors.ClusterError(
                    f"{name} was not ready after {self._order.deadline:.0f} s; it last said: {child.last_words()}"
                )
            self._caller.wait(_READY_TICK_SECONDS)

    def _write_state(self) -> None:
        """Write the state file when something changed, such as a component that ended."""
        states = tuple(
            ComponentState(
                name=name,
                pid=child.pid,
                port=child.component.port,
                binary=child.component.command[0],
                exit_code=child.exit_code,
            )
            for name, child in self._children.items()
        )
        state = State(supervisor=self._process(), server=self._server, since=self._since, components=states)
        if state != self._written:
            state.write(self._folder.state)
            self._written = state


def main(argument: str) -> int:
    """Run one lab from an `Order` as JSON; returns the exit code."""
    order = Order(**json.loads(argument))
    caller = Caller(order.caller)
    try:
        prepare(order.folder)
        with locks.held(order.folder.lock, "another lab in this folder", deadline_seconds=_LOCK_SECONDS):
            try:
                run(order, caller, Supervisor)
            finally:
                order.folder.remove()
    except Abandoned:
        return 0
    except errors.AnchorlineError as error:
        caller.answer(error_line(error))
    except OSError as error:
        caller.answer(error_line(disk_error(error, order.folder)))
    return 1


def prepare(folder: Folder) -> None:
    """Make the folder, or take an empty one. Raises `InvalidSpec` for a folder with something in it."""
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.root.iterdir()):
        raise errors.InvalidSpec(f"{folder.root} is not empty; give the lab a folder of its own.")
    folder.root.chmod(0o700)
    os.umask(0o077)


def run(order: OrderT, caller: Caller, kind: Callable[[OrderT, Caller], Supervisor]) -> None:
    """Start, serve, end."""
    log = os.open(order.folder.log("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    supervisor = kind(order, caller)
    try:
        supervisor.bring_up()
        caller.answer("ok")
        supervisor.serve()
    finally:
        supervisor.end()


def error_line(error: errors.AnchorlineError) -> str:
    """Return the answer that names an error."""
    return "error " + json.dumps([type(error).__name__, error.message])


def _ended(child: Child) -> str:
    name = child.component.name
    if child.exit_code == -signal.SIGKILL:
        # What it said last has nothing to do with it.
        return f"{name} was killed, as by a machine without memory, instead of becoming ready; end other programs."
    how = f"ended with exit code {child.exit_code} instead of becoming ready"
    return f"{name} {how}; it last said: {child.last_words()}"


def disk_error(error: OSError, folder: Folder) -> errors.AnchorlineError:
    """Return what a person can do about a folder that cannot be used."""
    if error.errno == errno.ENOSPC:
        return errors.NotReady(f"The disk of {folder.root} is full; free some room, or choose another --dir.")
    return errors.NotReady(f"The lab's folder {folder.root} cannot be used: {error}; choose another --dir.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
