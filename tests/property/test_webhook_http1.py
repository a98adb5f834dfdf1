"""However the network cuts it, our HTTP server gives the same answers, in the order of the requests."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.depth import examples
from tests.support.wire import conversation, echoed, spoken

LIMIT = 60
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CUTS = st.lists(st.integers(1, 30), max_size=60)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and how it is put."""

    method: bytes
    path: bytes
    query: bytes
    parts: tuple[bytes, ...]
    chunked: bool
    trailer: bytes
    close: bool
    expects: bool

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def sent(self) -> bytes:
        """Its bytes."""
        lines = [b"%b %b%b HTTP/1.1" % (self.method, self.path, self.query), b"Host: x"]
        lines += [b"Connection: close"] if self.close else []
        lines += [b"Expect: 100-continue"] if self.expects else []
        lines += [b"Transfer-Encoding: chunked" if self.chunked else b"Content-Length: %d" % len(self.body), b"", b""]
        return b"\r\n".join(lines) + (self._chunks() if self.chunked else self.body)

    def _chunks(self) -> bytes:
        return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in self.parts) + b"0\r\n" + self.trailer + b"\r\n"

    def answered(self) -> tuple[bytes, bool]:
        """What is to come back, and whether the connection is kept."""
        whole = len(self.body) <= LIMIT
        keep = whole and not self.close
        said = spoken(echoed(self.path, self.body[:LIMIT], whole=whole), keep=keep, bodied=self.method != b"HEAD")
        return CONTINUE * self.expects + said, keep


REQUESTS = st.lists(
    st.builds(
        Request,
        method=st.sampled_from([b"POST", b"POST", b"GET", b"HEAD", b"DELETE"]),
        path=st.sampled_from([b"/", b"/mutate", b"/mutate/jks", b"/%2e"]),
        query=st.sampled_from([b"", b"?timeout=5s", b"?"]),
        parts=st.lists(st.binary(min_size=1, max_size=30), max_size=4).map(tuple),
        chunked=st.booleans(),
        trailer=st.sampled_from([b"", b"X-Sum: 1\r\n"]),
        close=st.integers(0, 9).map(lambda number: number == 0),
        expects=st.booleans(),
    ),
    max_size=6,
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The same bytes in pieces of these sizes, and the rest in one."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@settings(max_examples=examples())
@given(requests=REQUESTS, cuts=CUTS)
def test_every_request_is_answered_in_its_turn_however_all_are_cut(requests: list[Request], cuts: list[int]) -> None:
    wire = conversation(*cut(b"".join(each.sent() for each in requests), cuts), body_bytes=LIMIT)
    expected, keep = b"", True
    for request in requests:
        if keep:
            said, keep = request.answered()
            expected += said
    assert (wire.written, wire.closed) == (expected, not keep)


@settings(max_examples=examples())
@given(requests=REQUESTS, missing=st.integers(1, 400), cuts=CUTS)
def test_a_part_of_a_request_is_never_taken_for_all(requests: list[Request], missing: int, cuts: list[int]) -> None:
    data = b"".join(each.sent() for each in requests)
    wire = conversation(*cut(data[: max(len(data) - missing, 0)], cuts), body_bytes=LIMIT)
    whole = conversation(data, body_bytes=LIMIT)
    assert whole.written.startswith(wire.written)
    if requests and whole.written != wire.written:
        assert not wire.closed


@settings(max_examples=examples(100))
@given(
    requests=REQUESTS,
    noise=st.one_of(st.binary(max_size=60), st.text(alphabet="GET /H1.0\r\n:-x;", max_size=60).map(str.encode)),
    at=st.integers(0, 600),
    cuts=CUTS,
)
def test_noise_is_answered_the_same_however_it_is_cut(
    requests: list[Request], noise: bytes, at: int, cuts: list[int]
) -> None:
    data = b"".join(each.sent() for each in requests)
    data = data[:at] + noise + data[at:]
    pieces, one = conversation(*cut(data, cuts), body_bytes=LIMIT), conversation(data, body_bytes=LIMIT)
    assert (pieces.written, pieces.closed, pieces.aborted) == (one.written, one.closed, False)
