"""Reviews over HTTPS: the ASGI application that answers them, and the server (uvicorn) that runs it."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Self

import uvicorn

from anchorline.api import naming
from anchorline.plan import injection
from anchorline.shell.listening import bound
from anchorline.shell.webhook import review
from anchorline.shell.webhook.metrics import Metrics

LOG: Final = logging.getLogger(__name__)
# A pod is at most 1.5 MiB (etcd's limit), and a review holds at most two of them.
MAX_BYTES: Final = 8 * 2**20
# Longer than the API server's own idle timeout (90 s), so that it is not we who close a connection in its hands.
KEEP_ALIVE_SECONDS: Final = 120
SHUTDOWN_SECONDS: Final = 10
BACKLOG: Final = 1024
# What is injected is in the path, since a namespace's words are not in a review: the API server chooses by label.
_DECISIONS: Final[dict[str, review.Decide]] = {
    naming.webhook_path(formats): partial(injection.decide, spec=injection.Injection(formats=formats))
    for formats in naming.TRUST_LABELS.values()
}
_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_ELSEWHERE: Final = b"the webhook is at /mutate\n"

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Reviews:
    """The application: reads a body within its limit, answers, counts. Nothing that it does can be a 5xx."""

    def __init__(self, metrics: Metrics, *, decide: review.Decide | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._metrics = metrics
        self._decisions = _DECISIONS if decide is None else dict.fromkeys(_DECISIONS, decide)
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the path is one of `naming.webhook_path`."""
        decide = self._decisions.get(scope["path"])
        if decide is None:
            await _respond(send, 404, _TEXT, _ELSEWHERE)
            return
        body, whole = await self._read(receive)
        if body is None:
            return  # who asked has gone
        await _respond(send, 200, _JSON, self._answer(body, decide, whole=whole))

    def _answer(self, body: bytes, decide: review.Decide, *, whole: bool) -> bytes:
        started = time.perf_counter()
        answer = review.answer(body, decide) if whole else review.too_large(body)
        if answer.error is not None:
            LOG.error("review failed, pod allowed without a patch", exc_info=answer.error)
        self._metrics.reviewed(answer.outcome, time.perf_counter() - started)
        return answer.body

    async def _read(self, receive: Receive) -> tuple[bytes | None, bool]:
        """The body, or its beginning and False when it is larger than the limit; None when the connection broke."""
        pieces: list[bytes] = []
        size, more = 0, True
        while more and size <= self._max_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None, False
            pieces.append(message["body"])
            size += len(pieces[-1])
            more = message.get("more_body", False)
        if size > self._max_bytes:
            return pieces[0], False
        # Nearly every body arrives in one piece.
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), True


async def _respond(send: Send, status: int, kind: tuple[bytes, bytes], body: bytes) -> None:
    headers = [kind, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Serving:
    """A server that accepts connections; whoever made it stops it."""

    def __init__(self, handler: Reviews, context: ssl.SSLContext, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            handler,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            # The one context for all connections: what is loaded into it later is served from then on.
            ssl_context_factory=lambda _config, _default: context,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)

    async def start(self) -> Self:
        """Accept connections. uvicorn's own `serve` would take the process's signals."""
        await self._server.startup(sockets=[self._listener])
        self._ticking = asyncio.create_task(self._server.main_loop())
        return self

    async def stop(self) -> None:
        """Accept no more; requests that are open get SHUTDOWN_SECONDS."""
        self._server.should_exit = True
        await self._ticking
        await self._server.shutdown(sockets=[self._listener])


async def serve_reviews(handler: Reviews, context: ssl.SSLContext, address: str, port: int) -> Serving:
    """Listen for reviews, or raise NotReady."""
    return await Serving(handler, context, bound(address, port, "--port")).start()
