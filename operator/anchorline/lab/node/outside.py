"""The process that holds a node: `python -m anchorline.lab.node.outside ORDER`.

It makes what must exist before the node's namespaces do (folder, port on loopback, cgroups), starts the first process
of the node in them, and takes everything away when that ends, the caller dies, or a signal comes. The first process
speaks with the caller itself, over the stdin and stdout that it inherits.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, replace

from anchorline import errors
from anchorline.lab import locks, places, ports, supervise
from anchorline.lab.node.cgroups import Cgroups
from anchorline.lab.node.order import NodeOrder

_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1
_TICK_SECONDS = 0.25
_LOCK_SECONDS = 3.0
_END_SECONDS = 10.0
_NAMESPACES = ("--mount", "--net", "--uts", "--ipc", "--cgroup", "--mount-proc", "--propagation", "private")

_libc = ctypes.CDLL(None, use_errno=True)


class Holder:
    """The first process of one node, and the conditions under which it lives."""

    def __init__(self, order: NodeOrder, cgroups: Cgroups) -> None:
        self._order = order
        self._asked_to_end = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        if _libc.unshare(_CLONE_NEWPID):
            raise errors.NotReady(f"A process namespace is refused here: {os.strerror(ctypes.get_errno())}.")
        self._process = subprocess.Popen(
            ["unshare", *_NAMESPACES, sys.executable, "-m", "anchorline.lab.node.inside", json.dumps(asdict(order))],
            pass_fds=(order.door,),
            preexec_fn=lambda: _before(cgroups),  # noqa: PLW1509 - one thread
        )
        order.init.write_text(str(self._process.pid))

    def _end(self, *_: object) -> None:
        self._asked_to_end = True

    def hold(self) -> int:
        """Wait until the node ends, or end it; PID 1 takes every other process of its namespace along."""
        process = os.pidfd_open(self._process.pid)
        try:
            while not self._abandoned():
                ended, _, _ = select.select([process], [], [], _TICK_SECONDS)
                if ended:
                    break
            else:
                self._process.kill()
        finally:
            os.close(process)
        return self._process.wait(_END_SECONDS)

    def _abandoned(self) -> bool:
        orphaned = os.getppid() != self._order.caller and not self._order.detached.exists()
        return self._asked_to_end or orphaned


def _before(cgroups: Cgroups) -> None:
    """Between fork and exec: into the cgroups, and die with the holder."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    cgroups.join()


def door(port: int | None) -> socket.socket:
    """Listen on loopback for the node's API server. Raises `InvalidSpec` when the port is taken."""
    listener = ports.reserved(port)
    listener.listen(128)
    return listener


def main(argument: str) -> int:
    """Hold one node from a `NodeOrder` as JSON; returns the exit code."""
    order = NodeOrder(**json.loads(argument))
    try:
        supervise.prepare(order.folder)
        with locks.held(order.folder.lock, "another lab in this folder", deadline_seconds=_LOCK_SECONDS):
            try:
                return _hold(order)
            finally:
                order.folder.remove()
    except errors.AnchorlineError as error:
        answer = supervise.error_line(error)
    except OSError as error:
        answer = supervise.error_line(supervise.disk_error(error, order.folder))
    print(answer, flush=True)
    return 1


def _hold(order: NodeOrder) -> int:
    cgroups = Cgroups(order.folder.root)
    with door(order.port) as listener:
        filled = replace(order, port=listener.getsockname()[1], outside=os.getpid(), door=listener.fileno())
        try:
            # One at a time: another lab's sweep must not take a cgroup that has no process in it yet.
            with locks.held(places.cache() / "node" / "cgroups.lock", "another node that starts"):
                cgroups.make()
                holder = Holder(filled, cgroups)
            return holder.hold()
        finally:
            cgroups.remove()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
