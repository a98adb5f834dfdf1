"""A server that misbehaves as told, one answer a request: for faults that a real API server can't be made to give.

Not a model of Kubernetes: it knows no objects. `async with FakeApi(json_of(...), hang(), ...) as api` answers the
requests in this order, then hangs; `api.seen` holds what was asked.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson
from aiohttp import web

from anchorline.kube.client import Client
from anchorline.kube.connection import Connection

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seen(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes


def json_of(body: object, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON; `Retry_After="1"` makes a header."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json", headers=named)

    return answer


def refusal(status: int, reason: str, message: str = "no", **headers: str) -> Answer:
    """Answer with a metav1.Status."""
    said = {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "code": status}
    return json_of(said, status, **headers)


def page(*objects: dict[str, Any], version: str, more: str = "") -> Answer:
    """Answer with a page of a list."""
    return json_of({"metadata": {"resourceVersion": version, "continue": more}, "items": list(objects)})


def hang() -> Answer:
    """Never answer."""

    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return answer


def reset() -> Answer:
    """Break the connection after the whole request was read."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


def watch(*chunks: bytes, end: bool = True) -> Answer:
    """Stream chunks as they are, then end properly, or stay open."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if not end:
            await asyncio.Event().wait()
        return response

    return answer


def event(kind: str, obj: dict[str, Any]) -> bytes:
    """Make one line of a watch."""
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def expired() -> bytes:
    """Make the line by which a watch says that it is too old."""
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


def config_map(name: str, version: str, value: str = "") -> dict[str, Any]:
    """Make a ConfigMap of namespace `shop`."""
    metadata = {"name": name, "namespace": "shop", "resourceVersion": version}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"value": value}}


class FakeApi:
    """The server, on a free port of loopback."""

    def __init__(self, *answers: Answer) -> None:
        self.seen: list[Seen] = []
        self._answers = deque(answers)
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.path, dict(request.query), await request.read()))
        answer = self._answers.popleft() if self._answers else hang()
        return await answer(request)

    def client(self, timeout: float = 5.0) -> Client:
        """Make a client of it, not yet open."""
        return Client(Connection(server=f"http://127.0.0.1:{self._port}", token="t0ken"), timeout=timeout)


async def until(condition: Callable[[], bool], what: str, *, seconds: float = 10.0) -> None:
    """Wait until `condition` holds; fails the test with `what` when it does not in time."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - conditions of servers have no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None
