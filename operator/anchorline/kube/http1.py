"""HTTP/1.1 to one server (RFC 9112): connections that are kept, one request at a time on each.

What comes is parsed by httptools; framing a request, keeping connections and giving them up is done here (ADR 8).
"""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

_PORTS = {"https": 443, "http": 80}
_GZIP = 16 + zlib.MAX_WBITS
_FINAL, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304
_FRAMES = frozenset({b"content-length", b"transfer-encoding"})
_UNREADABLE = (httptools.HttpParserError, httptools.HttpParserUpgrade)


@dataclass(frozen=True, slots=True)
class Response:
    """One response, read whole and decoded; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: bytes) -> str:
        """The value of a header, "" when there is none."""
        return self.headers.get(name, b"").decode("latin-1")


class Pool:
    """Connections to one server. The event loop must run; `close` is for the one who made it.

    `agent` is the User-Agent, `most` how many connections there may be, `idle` after how many seconds without a
    request one is not used again: a server closes what is idle, and a request that crosses this is lost. Raises
    ValueError when `server` is no http or https URL.
    """

    def __init__(
        self, server: str, tls: ssl.SSLContext | None, *, tls_name: str, agent: str, most: int, idle: float
    ) -> None:
        url = urlsplit(server)
        if url.scheme not in _PORTS or not url.hostname:
            raise ValueError(f"{server} is no URL of an HTTP server")
        self._host, self._port = url.hostname, url.port or _PORTS[url.scheme]
        self._tls, self._tls_name = tls, (tls_name or None) if tls else None
        self._path = url.path.rstrip("/")
        self._always = (f"Host: {url.netloc.rpartition('@')[2]}", f"User-Agent: {agent}")
        self._idle_seconds = idle
        self._turns = asyncio.Semaphore(most)
        self._open: set[_Exchange] = set()
        self._idle: list[_Exchange] = []

    def close(self) -> None:
        """Break all connections."""
        for each in tuple(self._open):
            each.abort()

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send one request and read the response; who is cancelled meanwhile loses the connection, too.

        Raises OSError (ssl.SSLError, ConnectionError) when there is no whole response, ValueError for a header that
        cannot be sent.
        """
        request = self._head(method, target, headers, body) + (body or b"")
        async with self._turns:
            connection = self._kept() or await self._connect()
            response = await connection.exchange(request)
            if connection.usable:
                self._idle.append(connection)
            else:
                connection.abort()
            return response

    def _head(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        lines = [f"{method} {self._path}{target} HTTP/1.1", *self._always]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines)
        if not head.isascii() or head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            # Which one is not told: it may be the token.
            raise ValueError("a header of the request has a line break or is not ASCII")
        return f"{head}\r\n\r\n".encode("ascii")

    def _kept(self) -> "_Exchange | None":
        """The connection that was used last: those that are not needed any more grow old and are closed."""
        oldest = asyncio.get_running_loop().time() - self._idle_seconds
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "_Exchange":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Exchange(self._open), self._host, self._port, ssl=self._tls, server_hostname=self._tls_name
        )
        return connection


class _Exchange(asyncio.Protocol):
    """One connection: a request goes out, a response comes in; `since` is the loop's time of the last one's end."""

    def __init__(self, registry: "set[_Exchange]") -> None:
        self._registry = registry
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._until_closed = False
        self.usable = False
        self.since = 0.0

    async def exchange(self, request: bytes) -> Response:
        """Send the bytes of a request and wait for its response. Raises OSError."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None

    def abort(self) -> None:
        """Break the connection."""
        self.usable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's TLS transport does not say that it is one
        self._registry.add(self)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """asyncio: some bytes have come."""
        if self._answer is None:
            self.abort()  # nothing was asked, so they could only be taken for the next response
            return
        try:
            self._parser.feed_data(data)
        except _UNREADABLE as error:
            self._fail(ConnectionError(f"the answer cannot be read as HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: it is closed."""
        self._registry.discard(self)
        self.usable = False
        if error is None and self._until_closed:
            self._finish()
        self._fail(error or ConnectionResetError("the server closed the connection before it had answered"))

    def on_message_begin(self) -> None:
        """httptools: a response begins; one that nobody has asked for spoils the connection."""
        self._headers, self._parts = {}, []
        if self._answer is None or self._answer.done():
            self.usable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """httptools: all headers; a body of no stated length ends with the connection (RFC 9112 6.3)."""
        status = self._parser.get_status_code()
        bodied = status >= _FINAL and status not in {_NO_CONTENT, _NOT_MODIFIED}
        self._until_closed = bodied and not _FRAMES & self._headers.keys()

    def on_body(self, body: bytes) -> None:
        """httptools: some of the body, without its chunks."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """httptools: a response is whole; those before the final one (RFC 9110 15.2) say nothing."""
        if self._parser.get_status_code() >= _FINAL:
            self.usable = self.usable and self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        if self._answer is None or self._answer.done():
            return
        body = b"".join(self._parts)
        try:
            if self._headers.get(b"content-encoding") == b"gzip":
                body = zlib.decompress(body, _GZIP)
        except zlib.error as error:
            self._fail(ConnectionError(f"the answer cannot be read as gzip: {error}"))
            return
        self.since = self._answer.get_loop().time()
        self._answer.set_result(Response(self._parser.get_status_code(), self._headers, body))

    def _fail(self, error: Exception) -> None:
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
