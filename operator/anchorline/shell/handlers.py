"""kopf's part: process, login, signals, and PrivateCAs. A handler maps an event to a key, and nothing else."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import kopf

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube.connection import Connection
from anchorline.shell.clock import local_time

# kopf keeps the credentials that it was given; a projected token lives an hour at least.
LOGIN_AGAIN = timedelta(minutes=10)


def register(registry: kopf.OperatorRegistry, connection: Connection, add: Callable[[ObjectKey], None]) -> None:
    """Register what kopf calls, in a registry of its own: importing this module does nothing."""

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf's convention
        connection.refresh_token()
        return _credentials(connection)

    @kopf.on.event(naming.GROUP, naming.VERSION, "privatecas", registry=registry)
    async def private_ca(name: str, **_: Any) -> None:  # noqa: ANN401
        add(ObjectKey("PrivateCA", "", name))


def _credentials(connection: Connection) -> kopf.ConnectionInfo:
    expires = connection.token_file is not None or connection.token_source is not None
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_path=connection.ca_file,
        ca_data=connection.ca_data,
        insecure=not connection.verify,
        token=connection.token or None,
        certificate_path=connection.client_certificate,
        private_key_path=connection.client_key,
        expiration=local_time() + LOGIN_AGAIN if expires else None,
    )


def settings() -> kopf.OperatorSettings:
    """Settings of kopf without what we do ourselves: no events, no scanning, no peering, no writes."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.queueing.idle_timeout = 0.05
    chosen.watching.server_timeout = 300
    chosen.watching.reconnect_backoff = 0.2
    return chosen


async def run(
    connection: Connection,
    add: Callable[[ObjectKey], None],
    ready: asyncio.Event,
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Run kopf until a signal, or until it gives up; `stop` is awaited when it ends.

    Our own work ends in kopf's cleanup: what is left of it afterwards kopf takes for hung, and waits five seconds.
    """
    logging.getLogger("kopf.activities").setLevel(logging.WARNING)
    registry = kopf.OperatorRegistry()
    register(registry, connection, add)

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:  # noqa: ANN401
        await stop()

    await kopf.operator(
        registry=registry,
        settings=settings(),
        clusterwide=True,
        standalone=True,
        ready_flag=ready,
        # Only for peering, which we do not do. Without it kopf asks for our user's name, and an image need not know it.
        identity="anchorline",  # type: ignore[arg-type]
    )
