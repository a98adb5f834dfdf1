"""HTTP/1.1 as clients speak it, well and badly, byte for byte: what our server answers, and when it closes."""

import asyncio
import gc
import logging
import weakref

import pytest
from tests.support.wire import Echo, Wire, conversation, echoed, limits, spoken

from anchorline.shell.webhook.http1_server import Response, Server

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
CHUNKS = b"2;name=value\r\nhi\r\n1\r\n!\r\n0\r\n"


def answer(path: bytes = b"/a", body: bytes = b"", *, whole: bool = True, keep: bool = True) -> bytes:
    return spoken(echoed(path, body, whole=whole), keep=keep)


def with_header(request: bytes, *lines: bytes) -> bytes:
    return request.replace(b"Host: x\r\n", b"Host: x\r\n" + b"".join(line + b"\r\n" for line in lines))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (GET, answer()),
        (POST, answer(body=b"hi")),
        (b"PUT /a HTTP/1.1\r\n\r\n", answer()),
        (b"\r\n\r\n" + GET, answer()),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n", answer(body=b"hi!")),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"T: x\r\n\r\n", answer(body=b"hi!")),
        (b"GET http://x:1/a?b HTTP/1.1\r\n\r\n", answer()),
        (b"GET http://x HTTP/1.1\r\n\r\n", answer(b"")),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", answer(b"*")),
        (b"GET /%61 HTTP/1.1\r\n\r\n", answer(b"/%61")),
        (b"HEAD /a HTTP/1.1\r\n\r\n", spoken(echoed(b"/a", b"", whole=True), bodied=False)),
        (with_header(POST, b"expect: 100-Continue"), b"HTTP/1.1 100 Continue\r\n\r\n" + answer(body=b"hi")),
        (with_header(POST, b"Expect: more"), answer(body=b"hi")),
        (with_header(POST, b"Upgrade: h2c"), answer(body=b"hi")),
    ],
)
def test_what_is_answered_and_the_connection_is_kept(request_: bytes, said: bytes) -> None:
    wire = conversation(request_, POST)
    assert (wire.written, wire.closed) == (said + answer(body=b"hi"), False)


@pytest.mark.parametrize(
    "request_",
    [
        with_header(POST, b"Connection: close"),
        POST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        with_header(POST, b"Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0"),
        with_header(POST, b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_who_wants_no_more_than_this_answer_gets_no_more(request_: bytes, *, together: bool) -> None:
    wire = conversation(*([request_ + POST] if together else [request_, POST]))
    assert (wire.written, wire.closed) == (answer(body=b"hi", keep=False), True)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"Invalid method encountered"),
        (b"GET /a b HTTP/1.1\r\n\r\n", b"Expected HTTP/"),
        (b"GET /\xff\x00 HTTP/1.1\r\n\r\n", b"Invalid char"),
        (b"GET /a HTTP/1.1\r\nno colon\r\n\r\n", b"Invalid header token"),
        (b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"Invalid character in Content-Length"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", b"Content-Length"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length"),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nhi", b"Transfer-Encoding"),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nhi\r\n", b"Invalid character in chunk size"),
        (b"GET /a HTTP/1.7\r\n\r\n", b"Invalid HTTP version"),
        (b"GET /a\r\n\r\n", b"nothing but HTTP/1.1 and HTTP/1.0"),
        (b"GET /a HTTP/2.0\r\n\r\n", b"nothing but HTTP/1.1 and HTTP/1.0"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"cannot be read"),
        (b"CONNECT x:443 HTTP/1.1\r\n\r\n", b"nothing but HTTP/1.1 and HTTP/1.0"),
        (with_header(POST, b"Upgrade: h2c", b"Connection: upgrade"), b"nothing but HTTP/1.1 and HTTP/1.0"),
    ],
)
def test_what_cannot_be_read_is_said_after_what_could_be(
    request_: bytes, why: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wire = conversation(POST + request_ + POST, POST)
    reason = wire.written.rpartition(b"\r\n\r\n")[2]
    assert why in reason
    assert wire.written == answer(body=b"hi") + spoken(reason, keep=False, status=b"400 Bad Request")
    assert wire.closed
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_body_over_the_limit_is_answered_by_its_beginning_and_no_more_is_read(piece: int, *, chunked: bool) -> None:
    """Also when it never ends: the answer does not wait for it."""
    framing = b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" if chunked else b"Content-Length: 4095\r\n\r\n"
    request = b"POST /a HTTP/1.1\r\n" + framing + b"0123456789x"
    cut = [request[at : at + piece] for at in range(0, len(request), piece)]
    wire = conversation(*cut, POST, body_bytes=10)
    assert (wire.written, wire.closed) == (answer(body=b"0123456789", whole=False, keep=False), True)


def test_a_body_of_exactly_the_limit_is_whole() -> None:
    assert conversation(POST, body_bytes=2).written == answer(body=b"hi")


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /a",
        b"GET /a HTTP/1.1\r\nCookie: ",
        b"GET /a HTTP/1.1\r\nCookie",
        b"GET /a HTTP/1.1\r\n" + b"A: b\r\n" * 40,
        b"\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: ",
    ],
)
def test_a_head_or_trailer_without_an_end_is_not_kept(begin: bytes) -> None:
    more = b"\r\n" * 10 if begin == b"\r\n" else b"x" * 20
    sent = [POST + begin, *([more] * 100)]
    wire = conversation(*sent, head_bytes=200)
    assert wire.written.startswith(answer(body=b"hi") + b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert wire.written.endswith(b"\r\n\r\nthe head of a request is at most 200 bytes here\n")
    assert wire.closed


def test_a_head_over_the_limit_is_refused_when_it_comes_in_one_piece_too() -> None:
    request = with_header(POST, b"Cookie: " + b"x" * 200)
    assert b" 431 " in conversation(request, head_bytes=200).written
    assert conversation(request, head_bytes=300).written == answer(body=b"hi")


def test_many_small_pieces_of_a_body_are_no_large_head() -> None:
    pieces = [b"POST /a HTTP/1.1\r\nContent-Length: 900\r\n\r\n", *[b"x"] * 900]
    assert conversation(*pieces, *pieces, head_bytes=100).written == answer(body=b"x" * 900) * 2


def test_answers_come_in_the_order_of_the_requests() -> None:
    handler = Echo()
    wire = conversation(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(50)), handler=handler)
    assert wire.written == b"".join(answer(b"/%d" % number) for number in range(50))
    assert handler.asked == [(b"/%d" % number, b"", True) for number in range(50)]


def test_a_peer_that_does_not_read_is_not_read_either() -> None:
    wire = conversation(POST)
    wire.protocol.pause_writing()
    assert not wire.reading
    wire.protocol.resume_writing()
    assert wire.reading


def test_a_handler_that_raises_costs_its_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    echo = Echo()

    def handler(path: bytes, body: bytes, *, whole: bool) -> Response:
        if path == b"/bad":
            raise KeyError("a bug")
        return echo(path, body, whole=whole)

    async def story() -> None:
        server = Server(handler, limits())
        good, bad = Wire(server), Wire(server)
        good.receive([POST[:9]])
        bad.receive([POST + b"GET /bad HTTP/1.1\r\n\r\n" + POST])
        good.receive([POST[9:]])
        assert (bad.written, bad.aborted) == (answer(body=b"hi"), True)
        assert (good.written, good.closed) == (answer(body=b"hi"), False)

    asyncio.run(story())
    (record,) = caplog.records
    assert (record.levelno, record.exc_info and record.exc_info[0]) == (logging.ERROR, KeyError)


def test_when_a_connection_is_overdue() -> None:
    async def story() -> None:
        server, now = Server(Echo(), limits(idle_seconds=120, request_seconds=30)), asyncio.get_running_loop().time()
        fresh, begun, answered = (Wire(server) for _ in range(3))
        begun.receive([POST[:1], POST[1:9], POST[9:-1]])
        answered.receive([POST])
        for seconds, closed in ((29, ()), (31, (begun,)), (119, (begun,)), (121, (fresh, begun, answered))):
            for wire in (fresh, begun, answered):
                wire.protocol.close_if_overdue(now + seconds)
            assert {each for each in (fresh, begun, answered) if each.closed} == set(closed)

    asyncio.run(story())


def test_only_what_is_idle_is_closed_at_once() -> None:
    async def story() -> None:
        server = Server(Echo(), limits())
        fresh, begun, answered, again = (Wire(server) for _ in range(4))
        begun.receive([POST[:1]])
        answered.receive([POST])
        again.receive([POST + POST[:-1]])
        for wire in (fresh, begun, answered, again):
            wire.protocol.close_if_idle()
        assert [wire.closed for wire in (fresh, begun, answered, again)] == [True, False, True, False]
        server.stopping = True
        again.receive([POST[-1:] + POST])
        assert (again.written, again.closed) == (answer(body=b"hi") + answer(body=b"hi", keep=False), True)

    asyncio.run(story())


def test_an_idle_connection_keeps_nothing_of_its_last_request() -> None:
    wire = conversation(POST)
    assert (wire.written, wire.protocol._body) == (answer(body=b"hi"), b"")


def test_a_connection_that_is_gone_is_gone_from_memory_without_the_collector() -> None:
    async def story() -> None:
        server = Server(Echo(), limits())
        wire = Wire(server)
        wire.receive([POST, POST[:-1]])
        wire.protocol.connection_lost(None)
        connection = weakref.ref(wire.protocol)
        assert not server.open
        del wire.protocol
        assert connection() is None

    gc.disable()
    try:
        asyncio.run(story())
    finally:
        gc.enable()
