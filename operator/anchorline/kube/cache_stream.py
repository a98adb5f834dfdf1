"""The body of a watch: one JSON event a line, cut by hand because a line may be longer than a megabyte."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from anchorline.errors import ClusterError


class Lines:
    """Collects chunks and gives back whole lines; what follows the last line break waits for more."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes. Each byte is copied twice at most, however long the line."""
        head, *rest = chunk.split(b"\n")
        self._parts.append(head)
        if not rest:
            return []
        whole = b"".join(self._parts)
        self._parts = [rest.pop()]
        return [line for line in (whole, *rest) if line]


async def events(response: aiohttp.ClientResponse, *, silence: float) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a watch until the server ends it; half a line at the end is dropped (it will come again).

    Raises ClusterError when it breaks, or when nothing at all (not even a bookmark) came for `silence` seconds.
    """
    lines = Lines()
    stream = response.content
    while True:
        try:
            async with asyncio.timeout(silence):
                chunk = await stream.readany()
        except TimeoutError:
            raise ClusterError(f"cannot go on watching: nothing came for {silence:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterError(f"cannot go on watching: {str(error) or type(error).__name__}") from error
        if not chunk:
            return
        for line in lines.feed(chunk):
            try:
                event = orjson.loads(line)
            except ValueError:
                raise ClusterError("cannot go on watching: the server sent a line that is no JSON") from None
            yield event
