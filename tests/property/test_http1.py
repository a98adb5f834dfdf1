"""However the network cuts it, a response is the same; and whatever comes, there is a response or an OSError."""

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.depth import examples

from anchorline.kube.http1 import Response, _Exchange

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
STATUSES = st.sampled_from([200, 201, 404, 409, 429, 500])
CUTS = st.lists(st.integers(1, 30), max_size=40)


class Nowhere(asyncio.Transport):
    """A transport that sends nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Forget it."""

    def abort(self) -> None:
        """Forget it."""


def exchange(data: bytes, cuts: list[int], *, closed: bool) -> Response:
    """What a connection makes of these bytes when they come in pieces of these sizes, and then perhaps its end."""

    async def story() -> Response:
        connection = _Exchange(set())
        connection.connection_made(Nowhere())
        answer = asyncio.ensure_future(connection.exchange(b"GET / HTTP/1.1\r\n\r\n"))
        await asyncio.sleep(0)
        rest = data
        for size in cuts:
            connection.data_received(rest[:size])
            rest = rest[size:]
        connection.data_received(rest)
        if closed:
            connection.connection_lost(None)
        async with asyncio.timeout(5):
            return await answer

    return asyncio.run(story())


def spoken(status: int, parts: list[bytes], *, chunked: bool) -> bytes:
    """A response with this body, in these chunks or with its length."""
    head = f"HTTP/1.1 {status} Whatever\r\nX-Kind: test\r\n"
    if not chunked:
        return f"{head}Content-Length: {len(b''.join(parts))}\r\n\r\n".encode() + b"".join(parts)
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


@settings(max_examples=examples())
@given(status=STATUSES, parts=BODIES, chunked=st.booleans(), cuts=CUTS, hints=st.booleans())
def test_a_response_is_the_same_however_it_is_cut(
    status: int, parts: list[bytes], chunked: bool, cuts: list[int], hints: bool
) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nX-Kind: early\r\n\r\n" if hints else b""
    found = exchange(early + spoken(status, parts, chunked=chunked), cuts, closed=False)
    assert (found.status, found.header(b"x-kind"), found.body) == (status, "test", b"".join(parts))


@settings(max_examples=examples())
@given(status=STATUSES, parts=BODIES, chunked=st.booleans(), missing=st.integers(1, 400), cuts=CUTS)
def test_a_part_of_a_response_is_never_taken_for_all(
    status: int, parts: list[bytes], chunked: bool, missing: int, cuts: list[int]
) -> None:
    whole = spoken(status, parts, chunked=chunked)
    with suppress(OSError):
        found = exchange(whole[: max(len(whole) - missing, 0)], cuts, closed=True)
        raise AssertionError(f"{found} was made of a part")


@settings(max_examples=examples())
@given(data=st.binary(max_size=200), real=st.booleans(), cuts=CUTS)
def test_whatever_comes_is_a_response_or_an_oserror(data: bytes, real: bool, cuts: list[int]) -> None:
    with suppress(OSError):
        found = exchange((b"HTTP/1.1 200 OK\r\n" if real else b"") + data, cuts, closed=True)
        assert 200 <= found.status < 1000
