"""Listening on a port, or one sentence about why that cannot be."""

import os

from aiohttp import web

from anchorline.errors import NotReady


async def listen(site: web.TCPSite, address: str, port: int, flag: str) -> None:
    """Start to listen; `flag` is how another port is chosen. Raises NotReady when somebody else has this one."""
    try:
        await site.start()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise NotReady(f"cannot listen on {address}:{port}: {why}; choose another port with {flag}") from error
