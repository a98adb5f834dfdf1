"""Our HTTP server without a network: a transport that writes down what is done to it, and a handler that echoes."""

import asyncio
from collections.abc import Iterable
from typing import Any

from anchorline.shell.webhook.http1_server import TEXT, Connection, Limits, Response, Server


def limits(**changed: Any) -> Limits:
    """Limits that no test meets by chance, but for these."""
    return Limits(
        **{"body_bytes": 2**20, "request_seconds": 60.0, "idle_seconds": 60.0, "shutdown_seconds": 60.0, **changed}
    )


class Echo:
    """A handler that answers with what it was given, and writes it down."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, bool]] = []

    def __call__(self, path: bytes, body: bytes, *, whole: bool) -> Response:
        self.asked.append((path, body, whole))
        return Response(200, TEXT, echoed(path, body, whole=whole))


def echoed(path: bytes, body: bytes, *, whole: bool) -> bytes:
    """What Echo makes of a request."""
    return b"%b has %d bytes%b: %b" % (path, len(body), b"" if whole else b" and more", body)


def spoken(body: bytes, *, keep: bool = True, bodied: bool = True, status: bytes = b"200 OK") -> bytes:
    """The bytes of an answer."""
    end = b"\r\n" if keep else b"connection: close\r\n\r\n"
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b" % (status, TEXT, len(body), end)
    return head + body if bodied else head


class Wire(asyncio.Transport):
    """The server's end of a connection; everything that is written stays in `written`."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.aborted = False
        self.reading = True
        self.protocol = Connection(server)
        self.protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "something was written after the end"
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def receive(self, pieces: Iterable[bytes]) -> None:
        """What the peer sends, until we close."""
        for piece in pieces:
            if not self.closed:
                self.protocol.data_received(piece)


def conversation(*pieces: bytes, handler: Any = None, **changed: Any) -> Wire:
    """What becomes of one connection on which these pieces come."""

    async def story() -> Wire:
        wire = Wire(Server(handler or Echo(), limits(**changed)))
        wire.receive(pieces)
        return wire

    return asyncio.run(story())
