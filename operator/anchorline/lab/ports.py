"""Ports of loopback that are kept for a program which will listen on them, and given to nobody else meanwhile."""

import random
import socket
from dataclasses import dataclass

from anchorline import errors

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes ports for outgoing connections, unless it was told otherwise.
_RANGE = range(20_000, 30_000)
_TRIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The ports of one lab, all on loopback; at `etcd` it tells its health, its clients come through a file."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int


class Reserved:
    """The ports of one lab, and the sockets that keep them until it ends.

    A socket that is bound but does not listen keeps its port from every other lab, from whoever asks the kernel for a
    free port, and from outgoing connections, also while a component is stopped; a server that sets SO_REUSEADDR can
    listen on it all the same (socket(7); Go's `net.Listen` does).
    """

    def __init__(self, apiserver: int | None) -> None:
        self._sockets = (reserved(apiserver), reserved(), reserved(), reserved())
        server, etcd, peer, manager = map(number, self._sockets)
        self.ports = Ports(etcd=etcd, etcd_peer=peer, apiserver=server, controller_manager=manager)


def reserved(port: int | None = None) -> socket.socket:
    """Return a socket bound to `port` of loopback, or to one that nobody has; it does not listen.

    Raises `InvalidSpec` when the port asked for cannot be had, `NotReady` when none is free.
    """
    if port is None:
        return _any()
    # What a former server's connections left behind (TIME_WAIT) is no reason to refuse a port by its number.
    found = _bound(port, reuse=True)
    if found is None:
        raise errors.InvalidSpec(f"Port {port} on {LOOPBACK} is taken or not allowed; choose another --port.")
    return found


def number(kept: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    return int(kept.getsockname()[1])


def _any() -> socket.socket:
    for port in random.sample(_RANGE, _TRIES):
        found = _bound(port, reuse=False)
        if found is not None:
            return found
    raise errors.NotReady(f"Found no free port on {LOOPBACK} between {_RANGE.start} and {_RANGE.stop}; free some.")


def _bound(port: int, *, reuse: bool) -> socket.socket | None:
    """Bind a new socket; without `reuse`, only where nothing else is bound at all."""
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        found.bind((LOOPBACK, port))
    except (OSError, OverflowError):
        found.close()
        return None
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
    return found
