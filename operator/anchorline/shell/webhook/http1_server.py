"""An HTTP/1.1 server (RFC 9112) for one handler that answers at once: connections, their limits, and their end.

What comes is parsed by httptools; framing answers, keeping connections and ending them is done here (ADR 10).
"""

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol, Self, cast

import httptools

LOG: Final = logging.getLogger(__name__)
BACKLOG: Final = 1024
# How long a peer may take to say that it, too, closes. What it sends meanwhile is dropped: a socket that is closed
# with bytes unread is reset, and a peer that is still sending would lose the answer.
CLOSE_SECONDS: Final = 5.0
TEXT: Final = b"text/plain; charset=utf-8"

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD: Final = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n"
_CLOSE: Final = b"connection: close\r\n"
_STATUSES: Final = {each.value: f"{each.value} {each.phrase}".encode("ascii") for each in HTTPStatus}
# Overdue connections are ended at most this share of the shortest limit too late.
_SWEEPS_PER_LIMIT: Final = 6


class Response(NamedTuple):
    """Status, content type and body of an answer."""

    status: int
    kind: bytes
    body: bytes


class Handler(Protocol):
    """Who answers: at once, and without raising; a request whose handler raises gets no answer.

    `path` is the target's, without the query, as it was sent. When `whole` is False the body was longer than allowed,
    and `body` is as much of its beginning as is.
    """

    def __call__(self, path: bytes, body: bytes, *, whole: bool) -> Response:
        """Return the answer to one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may ask of us.

    Of one request: the bytes of its body, those of its head, and the seconds from its first byte to its last; so many
    seconds a connection is kept without one, and so many an open request has when the server is stopped.
    """

    body_bytes: int
    head_bytes: int = 64 * 2**10
    request_seconds: float
    idle_seconds: float
    shutdown_seconds: float


class Server:
    """Accepts connections over TLS and keeps count of them; who started it stops it."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler, self.limits = handler, limits
        self.open: set[Connection] = set()
        self.stopping = False
        self._gone = asyncio.Event()
        self._between_sweeps = min(limits.request_seconds, limits.idle_seconds) / _SWEEPS_PER_LIMIT

    async def start(self, listener: socket.socket, context: ssl.SSLContext) -> Self:
        """Accept connections; a certificate that is loaded into the context later is served from then on."""
        self._loop = asyncio.get_running_loop()
        self.port: int = listener.getsockname()[1]
        self._server = await self._loop.create_server(
            lambda: Connection(self),
            sock=listener,
            ssl=context,
            backlog=BACKLOG,
            ssl_handshake_timeout=self.limits.request_seconds,
            ssl_shutdown_timeout=CLOSE_SECONDS,
        )
        self._timer = self._loop.call_later(self._between_sweeps, self._sweep)
        return self

    async def stop(self) -> None:
        """Accept no more, close what is idle, finish what is open for `shutdown_seconds`, then break the rest."""
        self.stopping = True
        self._server.close()
        for connection in tuple(self.open):
            connection.close_if_idle()
        try:
            async with asyncio.timeout(self.limits.shutdown_seconds):
                await self._all_gone()
        except TimeoutError:
            for connection in tuple(self.open):
                connection.abort()
        finally:
            self._timer.cancel()

    def lost(self, connection: "Connection") -> None:
        """A connection is closed."""
        self.open.discard(connection)
        self._gone.set()

    async def _all_gone(self) -> None:
        while self.open:
            self._gone.clear()
            await self._gone.wait()

    def _sweep(self) -> None:
        """One timer for all: a timer for each request would cost more than to look at the connections now and then."""
        self._timer = self._loop.call_later(self._between_sweeps, self._sweep)
        now = self._loop.time()
        for connection in tuple(self.open):
            connection.close_if_overdue(now)


class _EndedError(Exception):
    """Raised through the parser, which is to read nothing more: the connection's last answer is written."""


class Connection(asyncio.Protocol):
    """One connection: requests come in, and each is answered as soon as it is whole, so the answers are in order."""

    def __init__(self, server: Server) -> None:
        self._server, self._limits = server, server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._time = asyncio.get_running_loop().time
        self._busy = False
        self._deadline = self._time() + self._limits.idle_seconds
        self._barren_bytes = 0

    def close_if_idle(self) -> None:
        """Close it, if no request has begun."""
        if not self._busy:
            self._transport.close()

    def close_if_overdue(self, now: float) -> None:
        """Close it, if it was idle for too long or its request takes too long, by the loop's time."""
        if now > self._deadline:
            self._transport.close()

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's TLS transport does not say that it is one
        self._server.open.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """asyncio: it is closed."""
        self._server.lost(self)
        del self._parser  # it refers to us, and the collector that would find out runs seldom

    def pause_writing(self) -> None:
        """asyncio: the peer does not read its answers, so no more of its requests are read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """asyncio: the peer has read."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """asyncio: some bytes have come."""
        self._barren = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            self._stopped(error.__context__)
        except httptools.HttpParserError as error:
            self._refuse(400, f"this cannot be read as HTTP/1.1: {error}")
        else:
            # What brings neither a body nor a request's end: of a header without an end the parser keeps all, silently.
            self._barren_bytes = self._barren_bytes + len(data) if self._barren else 0
            if self._barren_bytes > self._limits.head_bytes:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._busy = True
        self._deadline = self._time() + self._limits.request_seconds
        self._target = b""
        self._head_bytes = 0
        self._expects_continue = False
        self._body = bytearray()

    def on_url(self, part: bytes) -> None:
        """httptools: some of the target."""
        self._target += part
        self._head_bytes += len(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header, or one field of the trailer."""
        self._head_bytes += len(name) + len(value)
        if name.lower() == b"expect":
            self._expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """httptools: all headers."""
        version = self._parser.get_http_version()
        if self._head_bytes > self._limits.head_bytes:
            raise self._refuse_head()
        if version not in {"1.1", "1.0"} or self._parser.should_upgrade():
            # What follows an upgrade the parser does not read.
            raise self._refuse(400, "nothing but HTTP/1.1 and HTTP/1.0 is spoken here")
        # Who speaks HTTP/1.0 would have to be told that the connection is kept.
        self._keep = version == "1.1" and self._parser.should_keep_alive()
        if self._expects_continue and version == "1.1":
            self._transport.write(_CONTINUE)

    def on_body(self, part: bytes) -> None:
        """httptools: some of the body, without its chunks."""
        self._barren = False
        self._body += part
        if len(self._body) > self._limits.body_bytes:
            self._keep = False
            self._answer(bytes(self._body[: self._limits.body_bytes]), whole=False)

    def on_message_complete(self) -> None:
        """httptools: a request is whole."""
        self._barren = False
        self._answer(bytes(self._body), whole=True)

    def _answer(self, body: bytes, *, whole: bool) -> None:
        answer = self._server.handler(self._path(), body, whole=whole)
        keep = self._keep and not self._server.stopping
        self._send(answer, keep=keep, bodied=self._parser.get_method() != b"HEAD")
        if not keep:
            raise _EndedError
        self._busy = False
        self._deadline = self._time() + self._limits.idle_seconds
        self._body = bytearray()  # what was asked is not kept until the next question

    def _path(self) -> bytes:
        try:
            return httptools.parse_url(self._target).path or b""
        except httptools.HttpParserInvalidURLError:
            return b""

    def _send(self, answer: Response, *, keep: bool, bodied: bool = True) -> None:
        head = _HEAD % (_STATUSES[answer.status], answer.kind, len(answer.body), b"" if keep else _CLOSE)
        self._transport.write(head + answer.body if bodied else head)
        if not keep:
            self._transport.close()

    def _refuse_head(self) -> _EndedError:
        return self._refuse(431, f"the head of a request is at most {self._limits.head_bytes} bytes here")

    def _refuse(self, status: int, why: str) -> _EndedError:
        """Answer so, close, and return what stops the parser."""
        LOG.warning("request refused, %d: %s", status, why, extra={"peer": self._transport.get_extra_info("peername")})
        self._send(Response(status, TEXT, f"{why}\n".encode()), keep=False)
        return _EndedError()

    def _stopped(self, error: BaseException | None) -> None:
        """Something was raised through the parser, by us or by the handler."""
        if not isinstance(error, _EndedError):
            LOG.error("a request could not be answered, its connection is closed", exc_info=error)
            self._transport.abort()
