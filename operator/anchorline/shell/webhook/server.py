"""The servers: reviews over TLS, whose certificate is swapped while it serves; health and metrics over plain HTTP."""

import asyncio
import logging
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from anchorline.api import naming
from anchorline.plan import injection
from anchorline.shell.listening import listen
from anchorline.shell.webhook import review
from anchorline.shell.webhook.metrics import Metrics

LOG: Final = logging.getLogger(__name__)
# A pod is at most 1.5 MiB (etcd's limit), and a review holds at most two of them.
MAX_BYTES: Final = 8 * 2**20
# Longer than the API server's own idle timeout (90 s), so that it is not we who close a connection in its hands.
KEEP_ALIVE_SECONDS: Final = 120.0
SHUTDOWN_SECONDS: Final = 10.0
# What is injected is in the path, since a namespace's words are not in a review: the API server chooses by label.
_DECISIONS: Final[dict[str, review.Decide]] = {
    naming.webhook_path(formats): partial(injection.decide, spec=injection.Injection(formats=formats))
    for formats in naming.TRUST_LABELS.values()
}
_HEADERS: Final = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))


class Health(NamedTuple):
    """Whether it is well, and a sentence that says why not (or what is served)."""

    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """The two questions that a kubelet asks."""

    live: Callable[[], Health]
    ready: Callable[[], Health]


def tls_context() -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1. It has no certificate yet: every handshake fails until `load` gave it one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def load(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Use this certificate (PEM, leaf first) for all handshakes from now on; connections that are open stay.

    Raises ssl.SSLError, with the context as it was, when they do not belong together.
    """
    if hasattr(os, "memfd_create"):
        # The ssl module takes files only; this one is never on a disk.
        with os.fdopen(os.memfd_create("serving", os.MFD_CLOEXEC), "wb") as file:
            _load(context, f"/proc/self/fd/{file.fileno()}", file.write(chain + key), file.flush)
        return
    with tempfile.NamedTemporaryFile() as file:
        _load(context, file.name, file.write(chain + key), file.flush)


def _load(context: ssl.SSLContext, path: str, _written: int, flush: Callable[[], None]) -> None:
    flush()
    # Tried on another context first: a mismatch found half-way would leave the live one without a key.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    context.load_cert_chain(path)


class Reviews:
    """The handler of reviews: reads a body within its limit, answers, counts. Nothing that it does can be a 5xx."""

    def __init__(self, metrics: Metrics, *, decide: review.Decide | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._metrics = metrics
        self._decisions = _DECISIONS if decide is None else dict.fromkeys(_DECISIONS, decide)
        self._max_bytes = max_bytes

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; the path is one of `naming.webhook_path`, with or without the API server's query."""
        decide = self._decisions.get(request.raw_path.partition("?")[0])
        if decide is None:
            return web.Response(status=404, text="the webhook is at /mutate\n")
        body, whole = await self._read(request)
        started = time.perf_counter()
        answer = review.answer(body, decide) if whole else review.too_large(body)
        if answer.error is not None:
            LOG.error("review failed, pod allowed without a patch", exc_info=answer.error)
        self._metrics.reviewed(answer.outcome, time.perf_counter() - started)
        return web.Response(body=answer.body, headers=_HEADERS)

    async def _read(self, request: web.BaseRequest) -> tuple[bytes, bool]:
        """The body, or its beginning and False when it is larger than the limit."""
        content = request.content
        try:
            # Nearly every body arrives in one piece.
            first = await content.readany()
            chunks, size = [first], len(first)
            while not content.at_eof() and size <= self._max_bytes:
                chunks.append(await content.readany())
                size += len(chunks[-1])
        except web.HTTPException as error:
            LOG.warning("request body unreadable: %s", error)
            return b"", True
        if size > self._max_bytes:
            return first, False
        return first if len(chunks) == 1 else b"".join(chunks), True


async def serve_reviews(handler: Reviews, context: ssl.SSLContext, address: str, port: int) -> web.ServerRunner:
    """Listen for reviews, or raise NotReady. `cleanup()` stops accepting, and open requests get SHUTDOWN_SECONDS."""
    server = web.Server(handler, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    await listen(web.TCPSite(runner, address, port, ssl_context=context, backlog=1024), address, port, "--port")
    return runner


def port_of(runner: web.BaseRunner) -> int:
    """Port that the runner listens on, also when it was asked for any free one."""
    return int(runner.addresses[0][1])


async def serve_health(probes: Probes, metrics: Metrics, address: str, port: int) -> web.AppRunner:
    """Listen for `/healthz`, `/readyz` and `/metrics` on plain HTTP. Raises NotReady when it cannot."""

    def probe(question: Callable[[], Health]) -> Callable[[web.Request], asyncio.Future[web.Response]]:
        async def respond(_: web.Request) -> web.Response:
            health = question()
            return web.Response(status=200 if health.ok else 503, text=health.sentence + "\n")

        return respond  # type: ignore[return-value]

    async def metrics_text(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    application = web.Application()
    application.router.add_get("/healthz", probe(probes.live))
    application.router.add_get("/readyz", probe(probes.ready))
    application.router.add_get("/metrics", metrics_text)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await listen(web.TCPSite(runner, address, port), address, port, "--health-port")
    return runner
