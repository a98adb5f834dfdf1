"""HTTP/1.1 as servers speak it, well and badly: scripted bytes on one side, our pool on the other."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Self

import pytest

from anchorline.kube.http1 import Pool, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
Story = Callable[[Pool, "Script"], Awaitable[None]]


class Script:
    """A server that answers the n-th request of all connections with the n-th bytes, then hangs.

    `None` closes the connection instead of an answer; an empty answer is none at all.
    """

    def __init__(self, *answers: bytes | None, close_after: bool = False) -> None:
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.closed = 0
        self._answers = list(answers)
        self._close_after = close_after
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed += 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        length = next((int(line[16:]) for line in head.split("\r\n") if line.startswith("Content-Length: ")), 0)
        self.bodies.append(await reader.readexactly(length))
        answer = self._answers.pop(0) if self._answers else b""
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return not self._close_after

    async def closes(self, count: int) -> None:
        """Wait until so many connections are closed."""
        async with asyncio.timeout(10):
            while self.closed < count:  # noqa: ASYNC110 - the reader's end has no event
                await asyncio.sleep(0.002)


def play(story: Story, *answers: bytes | None, close_after: bool = False, most: int = 8, idle: float = 60.0) -> Script:
    """Run a story against a server with these answers."""

    async def whole() -> Script:
        async with Script(*answers, close_after=close_after) as script:
            server = f"http://127.0.0.1:{script.port}/base/"
            pool = Pool(server, None, tls_name="ignored without TLS", agent="tests/1", most=most, idle=idle)
            try:
                async with asyncio.timeout(20):
                    await story(pool, script)
            finally:
                pool.close()
            return script

    return asyncio.run(whole())


async def get(pool: Pool, target: str = "/x") -> Response:
    return await pool.request("GET", target, {"Accept": "*/*"}, None)


def ask(*answers: bytes | None, close_after: bool = False) -> Response:
    """What one GET gives."""
    found: list[Response] = []

    async def story(pool: Pool, _: Script) -> None:
        found.append(await get(pool))

    play(story, *answers, close_after=close_after)
    return found[0]


def test_what_is_sent() -> None:
    async def story(pool: Pool, script: Script) -> None:
        await pool.request("POST", "/api?x=1", {"Accept": "a/b", "Content-Type": "c/d"}, b"body")
        await pool.request("DELETE", "/api", {}, b"")
        assert script.connections == 1

    script = play(story, OK, OK)
    assert script.heads[0] == (
        f"POST /base/api?x=1 HTTP/1.1\r\nHost: 127.0.0.1:{script.port}\r\nUser-Agent: tests/1\r\n"
        "Accept: a/b\r\nContent-Type: c/d\r\nContent-Length: 4\r\n\r\n"
    )
    assert script.bodies == [b"body", b""]
    assert script.heads[1].endswith("Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("server", "host", "port", "authority"),
    [
        ("https://api.example", "api.example", 443, "api.example"),
        ("https://[fd00::1]:6443/k8s/c-1", "fd00::1", 6443, "[fd00::1]:6443"),
        ("http://who:secret@localhost:8001", "localhost", 8001, "localhost:8001"),
    ],
)
def test_where_it_connects(server: str, host: str, port: int, authority: str) -> None:
    async def story() -> None:
        pool = Pool(server, None, tls_name="", agent="tests/1", most=1, idle=1)
        assert (pool._host, pool._port) == (host, port)
        assert f"\r\nHost: {authority}\r\n".encode() in pool._head("GET", "/", {}, None)

    asyncio.run(story())


@pytest.mark.parametrize("value", ["x\r\nEvil: 1", "x\nEvil: 1", "x\rEvil: 1", "ü"])
def test_a_header_that_would_be_two_is_not_sent(value: str) -> None:
    async def story(pool: Pool, script: Script) -> None:
        with pytest.raises(ValueError, match="line break or is not ASCII"):
            await pool.request("GET", "/", {"Authorization": value}, None)
        with pytest.raises(ValueError, match="line break or is not ASCII"):
            await get(pool, f"/{value}")
        assert script.connections == 0

    play(story)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_answers_are_read_whole_and_the_connection_is_kept(answer: bytes, body: bytes) -> None:
    async def story(pool: Pool, script: Script) -> None:
        assert (await get(pool)).body == body
        assert (await get(pool)).body == b"hi"
        assert script.connections == 1

    play(story, answer, OK)


def test_headers_are_found_in_lower_case() -> None:
    found = ask(b"HTTP/1.1 429 Too Many\r\nRetry-AFTER: 3\r\nContent-Length: 0\r\n\r\n")
    assert (found.status, found.header(b"retry-after"), found.header(b"date")) == (429, "3", "")


def test_gzip_is_undone() -> None:
    body = gzip.compress(b"roots " * 1000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    assert ask(head.encode() + body).body == b"roots " * 1000


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert ask(b"HTTP/1.0 503 Unavailable\r\n\r\nupstream is away", close_after=True).body == b"upstream is away"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_what_is_not_whole_or_no_http_is_an_error_and_the_next_request_has_its_own_connection(
    answer: bytes | None,
) -> None:
    async def story(pool: Pool, script: Script) -> None:
        with pytest.raises(ConnectionError):
            await get(pool)
        assert (await get(pool)).body == b"hi"
        assert script.connections == 2

    play(story, answer, OK, close_after=True)


def test_an_answer_of_before_is_never_taken_for_the_next() -> None:
    """A 204 has no length: when the server closes instead of answering the next request, that is no second one."""

    async def story(pool: Pool, _: Script) -> None:
        assert (await get(pool)).status == 204
        with pytest.raises(ConnectionError):
            await get(pool)

    play(story, b"HTTP/1.1 204 No Content\r\n\r\n", None)


def test_bytes_that_nobody_asked_for_spoil_the_connection() -> None:
    async def story(pool: Pool, script: Script) -> None:
        assert (await get(pool)).body == b"hi"
        assert (await get(pool)).body == b"yo"
        assert script.connections == 2

    play(story, OK + OK, OK.replace(b"hi", b"yo"))


def test_a_late_second_answer_spoils_the_connection_too() -> None:
    async def story(pool: Pool, script: Script) -> None:
        await get(pool)
        script.writers[0].write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await script.closes(1)
        assert (await get(pool)).body == b"hi"
        assert script.connections == 2

    play(story, OK, OK)


def test_a_server_that_closes_is_believed() -> None:
    async def story(pool: Pool, script: Script) -> None:
        for _ in range(3):
            await get(pool)
        assert script.connections == 3

    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    play(story, closing, closing, OK)


def test_a_connection_that_was_idle_for_too_long_is_not_used_again() -> None:
    async def story(pool: Pool, script: Script) -> None:
        await get(pool)
        await get(pool)
        assert script.connections == 2
        await script.closes(1)

    play(story, OK, OK, idle=-1.0)


def test_who_gives_up_waiting_takes_the_connection_along() -> None:
    async def story(pool: Pool, script: Script) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get(pool)
        await script.closes(1)
        assert (await get(pool)).body == b"hi"

    play(story, b"", OK)


def test_who_gives_up_waiting_for_a_turn_takes_none_away() -> None:
    async def story(pool: Pool, script: Script) -> None:
        waiting = asyncio.create_task(get(pool))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await get(pool)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await get(pool)).body == b"hi"
        assert len(script.heads) <= 2

    play(story, b"", OK, most=1)


def test_no_more_connections_than_allowed() -> None:
    async def story(pool: Pool, script: Script) -> None:
        found = await asyncio.gather(*(get(pool) for _ in range(20)))
        assert [each.body for each in found] == [b"hi"] * 20
        assert script.connections <= 3

    play(story, *[OK] * 20, most=3)


def test_closing_breaks_what_is_under_way() -> None:
    async def story(pool: Pool, script: Script) -> None:
        waiting = asyncio.create_task(get(pool))
        async with asyncio.timeout(10):
            while not script.heads:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.002)
        pool.close()
        with pytest.raises(ConnectionError):
            await waiting
        await script.closes(1)

    play(story, b"")


def test_nobody_there_is_an_error() -> None:
    async def story() -> None:
        async with Script() as script:
            port = script.port
        pool = Pool(f"http://127.0.0.1:{port}", None, tls_name="", agent="tests/1", most=1, idle=1)
        with pytest.raises(OSError, match=r"refused|failed"):
            await get(pool)

    asyncio.run(story())
