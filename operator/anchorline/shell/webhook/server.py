"""The TLS context of the reviews, whose certificate is swapped while it serves; health and metrics over plain HTTP."""

import asyncio
import os
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from anchorline.shell.listening import listen
from anchorline.shell.webhook.metrics import Metrics


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
