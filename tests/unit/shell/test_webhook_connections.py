"""Our HTTP server on real TLS sockets: peers that send too much, too slowly, or do not read, and its stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop
from tests.support.serving import material, trusting, use
from tests.support.wire import Echo, echoed, limits, spoken

from anchorline.shell.webhook import http1_server, server
from anchorline.shell.webhook.http1_server import TEXT, Connection, Response, Server

MADE = material()
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
SAID = spoken(echoed(b"/a", b"hi", whole=True))
LAST = spoken(echoed(b"/a", b"hi", whole=True), keep=False)

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Story = Callable[[Server], Awaitable[None]]


def play(story: Story, handler: Any = None, **changed: Any) -> None:
    """Run a story against a server with these limits, on the loop that the webhook runs on."""

    async def whole() -> None:
        context = server.tls_context()
        use(context, MADE)
        listener = socket.create_server(("127.0.0.1", 0))
        served = await Server(handler or Echo(), limits(**changed)).start(listener, context)
        async with asyncio.timeout(20):
            await story(served)
            if not served.stopping:
                await served.stop()
            await until(lambda: not served.open)

    uvloop.run(whole())


@asynccontextmanager
async def peer(served: Server) -> AsyncIterator[Peer]:
    """A connection to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting(MADE))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(to: Peer, request: bytes = POST, said: bytes = SAID) -> None:
    """Send this and read what is to come back."""
    to[1].write(request)
    assert await to[0].readexactly(len(said)) == said


async def closes(reader: asyncio.StreamReader) -> None:
    """Wait until the server has closed, with nothing more said."""
    with suppress(ConnectionError):
        assert await reader.read() == b""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the story's deadline holds."""
    while not condition():  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.002)


def test_connections_are_kept_and_closed_when_idle_for_too_long() -> None:
    async def story(served: Server) -> None:
        async with peer(served) as fresh, peer(served) as used:
            for _ in range(3):
                await ask(used)
            await asyncio.gather(closes(fresh[0]), closes(used[0]))

    play(story, idle_seconds=0.2)


@pytest.mark.parametrize("begin", [POST[:6], POST[:30], POST[:-1]])
def test_a_request_that_does_not_end_is_closed_also_when_it_trickles(begin: bytes) -> None:
    async def story(served: Server) -> None:
        async with peer(served) as (reader, writer):
            writer.write(begin.replace(b"Length: 2", b"Length: 99999"))
            ended = asyncio.ensure_future(closes(reader))
            while not ended.done():
                writer.write(b"x")
                await asyncio.wait([ended], timeout=0.01)
            await ended

    play(story, request_seconds=0.2)


def test_a_peer_that_begins_no_tls_is_closed() -> None:
    async def story(served: Server) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        await closes(reader)
        writer.close()

    play(story, request_seconds=0.2)


def test_who_sends_too_much_reads_the_answer_before_the_end() -> None:
    """Four times the limit is on its way when we answer; a socket closed with that unread would take it back."""
    limit = 2**20
    body = b"x" * 4 * limit
    said = spoken(echoed(b"/a", body[:limit], whole=False), keep=False)

    async def story(served: Server) -> None:
        async with peer(served) as (reader, writer):
            writer.write(b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            assert await reader.readexactly(len(said)) == said
            await closes(reader)

    play(story, body_bytes=limit)


def test_who_never_ends_to_send_is_heard_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_server, "CLOSE_SECONDS", 0.3)

    async def story(served: Server) -> None:
        async with peer(served) as (reader, writer):
            writer.write(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n")
            answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
            with suppress(ConnectionError):
                while not writer.transport.is_closing():
                    writer.write(b"x" * 65536)
                    await writer.drain()
            assert (await answer).startswith(b"HTTP/1.1 200 OK\r\n")
            await until(lambda: not served.open)

    play(story, body_bytes=1000)


def test_answers_that_nobody_reads_are_not_held_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    paused, echo, many = asyncio.Event(), Echo(), 300
    pause = Connection.pause_writing

    def pause_writing(connection: Connection) -> None:
        pause(connection)
        paused.set()

    def handler(path: bytes, body: bytes, *, whole: bool) -> Response:
        echo(path, body, whole=whole)
        return Response(200, TEXT, path.ljust(65536, b"."))

    monkeypatch.setattr(Connection, "pause_writing", pause_writing)

    async def story(served: Server) -> None:
        async with peer(served) as (reader, writer):
            padded = b"POST /%d HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + b" " * 20000
            writer.write(b"".join(padded % number for number in range(many)))
            await paused.wait()
            assert len(echo.asked) < many / 2
            for number in range(many):
                said = spoken((b"/%d" % number).ljust(65536, b"."))
                assert await reader.readexactly(len(said)) == said
            assert len(echo.asked) == many

    play(story, handler)


def test_who_does_not_read_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_server, "CLOSE_SECONDS", 0.3)

    def handler(_path: bytes, _body: bytes, *, whole: bool) -> Response:
        return Response(200, TEXT, b"x" * 2**25 if whole else b"")

    async def story(served: Server) -> None:
        async with peer(served) as (_, writer):
            writer.write(POST)
            await until(lambda: bool(served.open))
            await until(lambda: not served.open)

    play(story, handler, idle_seconds=0.2)


def test_stopping_closes_the_idle_at_once_and_finishes_the_begun() -> None:
    async def story(served: Server) -> None:
        async with peer(served) as idle, peer(served) as begun:
            await ask(idle)
            await ask(begun, POST + POST[:-1])
            stopping = asyncio.ensure_future(served.stop())
            await closes(idle[0])
            assert not stopping.done()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", served.port)
            await ask(begun, POST[-1:], LAST)
            await asyncio.gather(closes(begun[0]), stopping)

    play(story, shutdown_seconds=1e9)


def test_stopping_breaks_what_does_not_end() -> None:
    async def story(served: Server) -> None:
        async with peer(served) as begun:
            await ask(begun, POST + POST[:-1])
            await served.stop()
            await closes(begun[0])

    play(story, shutdown_seconds=0.1)


def test_stopping_does_not_wait_when_nothing_is_open() -> None:
    async def story(served: Server) -> None:
        async with peer(served) as idle:
            await ask(idle)
            await asyncio.gather(served.stop(), closes(idle[0]))

    play(story, shutdown_seconds=1e9)


def test_a_peer_that_goes_in_the_middle_leaves_the_others_alone() -> None:
    async def story(served: Server) -> None:
        async with peer(served) as stays:
            await ask(stays, POST + POST[:-1])
            async with peer(served) as goes:
                await ask(goes, POST + POST[:-1])
            await until(lambda: len(served.open) == 1)
            await ask(stays, POST[-1:])

    play(story)
