"""The webhook process: starts and serves without the operator, and goes on serving while the API server is away."""

import argparse
import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from anchorline import pki
from anchorline.errors import AnchorlineError
from anchorline.kube import entropy
from anchorline.kube.client import Client
from anchorline.kube.connection import discover
from anchorline.shell import logs
from anchorline.shell.clock import Clock
from anchorline.shell.collector import quiet_collector
from anchorline.shell.webhook import reviews, rotation, server, serving
from anchorline.shell.webhook.arguments import Settings, add_arguments, from_arguments
from anchorline.shell.webhook.metrics import Metrics

__all__ = ["Settings", "Webhook", "add_arguments", "main", "run"]

LOG: Final = logging.getLogger("anchorline.webhook")
# One call to the API server may take this long; reviews are served meanwhile.
API_SECONDS: Final = 10.0
_FIRST_RETRY_SECONDS: Final = 1.0
_LAST_RETRY_SECONDS: Final = 30.0


def main(arguments: argparse.Namespace) -> int:
    """`anchorline webhook`: run until a signal. 0 after one, 1 when the settings cannot work."""
    settings = from_arguments(arguments)
    logs.configure(settings.log_level)
    try:
        uvloop.run(run(settings))
    except AnchorlineError as error:
        LOG.error("%s", error.message)  # noqa: TRY400 - the sentence is for a person, the traceback is not
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then stop accepting and finish what is open, for at most ten seconds."""
    connection = discover(settings.kubeconfig)
    async with Client(connection, timeout=API_SECONDS) as client:
        webhook = Webhook(
            client, settings, settings.namespace or connection.namespace, Clock(lambda: client.server_time)
        )
        with _on_signals(webhook.stop):
            await webhook.run()


class Webhook:
    """One replica: its certificate, its two servers, and what it says of itself."""

    def __init__(self, cluster: serving.Cluster, settings: Settings, namespace: str, clock: Clock) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._context = server.tls_context()
        self._loaded = asyncio.Event()
        self._stopped = asyncio.Event()
        self.ports: dict[str, int] = {}
        self.keeper = serving.Keeper(
            cluster,
            serving.Settings(
                namespace=namespace,
                names=rotation.alternative_names(settings.names(namespace)),
                lives=settings.lives,
            ),
            use=self._use,
            dice=rotation.Dice(key=_new_key, serial=entropy.new_serial),
            now=clock.now,
        )

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve until `stop`."""
        settings, probes = self._settings, server.Probes(live=self.live, ready=self.ready)
        health = await server.serve_health(probes, self._metrics, settings.address, settings.health_port)
        self.ports["health"] = server.port_of(health)
        keeping = asyncio.create_task(self._keep())
        try:
            if await self._first_certificate():
                await self._serve()
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await health.cleanup()

    def live(self) -> server.Health:
        """/healthz: alive, and what it serves has not expired."""
        if self.keeper.expired:
            return server.Health(False, "the serving certificate has expired and could not be renewed, see the log")
        return server.Health(True, "ok")

    def ready(self) -> server.Health:
        """/readyz: the API server can call us and verify what we serve."""
        if self._stopped.is_set():
            return server.Health(False, "stopping")
        if self.keeper.ready:
            return server.Health(True, "ok")
        if self.keeper.served is None:
            return server.Health(False, "there is no serving certificate yet")
        return server.Health(
            False, self.live().sentence if self.keeper.expired else "caBundle does not hold our CA yet"
        )

    async def _serve(self) -> None:
        settings = self._settings
        handler = reviews.Reviews(self._metrics)
        quiet_collector()
        serving_reviews = await reviews.serve_reviews(handler, self._context, settings.address, settings.port)
        self.ports["reviews"] = serving_reviews.port
        LOG.info("serving reviews", extra={"port": self.ports["reviews"]})
        try:
            await self._stopped.wait()
            LOG.info("stopping: no new connections, open reviews are finished")
        finally:
            await serving_reviews.stop()

    async def _first_certificate(self) -> bool:
        """Wait for a certificate; False when we are stopped before."""
        waits = [asyncio.create_task(event.wait()) for event in (self._loaded, self._stopped)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return not self._stopped.is_set()

    async def _keep(self) -> None:
        """Look at the shared material for ever. Nothing that goes wrong here may end the serving of reviews."""
        pause = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self.keeper.look()
            except AnchorlineError as error:
                LOG.warning("cannot look after the serving certificate: %s", error.message)
            except Exception:
                LOG.exception("cannot look after the serving certificate")
            else:
                pause = _FIRST_RETRY_SECONDS if self.keeper.ready else pause
            await asyncio.sleep(self._settings.look_again_seconds if self.keeper.ready else pause)
            pause = min(pause * 1.5, _LAST_RETRY_SECONDS)

    def _use(self, pair: rotation.Pair) -> None:
        server.load(self._context, pair.certificate.pem, pair.key.to_pem())
        self._metrics.serving_until(pair.certificate.not_after.timestamp())
        self._loaded.set()


def _new_key() -> pki.PrivateKey:
    return pki.PrivateKey.wrap(ec.generate_private_key(ec.SECP256R1()))


@contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
