"""Listening on a port, or one sentence about why that cannot be."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from anchorline.errors import NotReady


async def listen(site: web.TCPSite, address: str, port: int, flag: str) -> None:
    """Start to listen; `flag` is how another port is chosen. Raises NotReady when somebody else has this one."""
    with _told(address, port, flag):
        await site.start()


def bound(address: str, port: int, flag: str) -> socket.socket:
    """A socket of this address and port (0: any free one) that listens. Raises NotReady like `listen`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with _told(address, port, flag):
        return socket.create_server((address, port), family=family)


@contextmanager
def _told(address: str, port: int, flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise NotReady(f"cannot listen on {address}:{port}: {why}; choose another port with {flag}") from error
