"""Reviews over HTTPS: which path asks for what, what is answered and counted, and with which limits they are served."""

import logging
import ssl
import time
from functools import partial
from typing import Final

from anchorline.api import naming
from anchorline.plan import injection
from anchorline.shell.listening import bound
from anchorline.shell.webhook import review
from anchorline.shell.webhook.http1_server import TEXT, Limits, Response, Server
from anchorline.shell.webhook.metrics import Metrics

LOG: Final = logging.getLogger(__name__)
# A pod is at most 1.5 MiB (etcd's limit), and a review holds at most two of them.
MAX_BYTES: Final = 8 * 2**20
# Longer than the API server's own idle timeout (90 s), so that it is not we who close a connection in its hands.
KEEP_ALIVE_SECONDS: Final = 120
# The API server waits for no webhook longer than this (timeoutSeconds), nor for its TLS handshake.
REQUEST_SECONDS: Final = 30
SHUTDOWN_SECONDS: Final = 10
# What is injected is in the path, since a namespace's words are not in a review: the API server chooses by label.
_DECISIONS: Final[dict[bytes, review.Decide]] = {
    naming.webhook_path(formats).encode("ascii"): partial(injection.decide, spec=injection.Injection(formats=formats))
    for formats in naming.TRUST_LABELS.values()
}
_JSON: Final = b"application/json"
_ELSEWHERE: Final = Response(404, TEXT, b"the webhook is at /mutate\n")


class Reviews:
    """The handler: answers and counts. Nothing that it does can be a 5xx."""

    def __init__(self, metrics: Metrics, *, decide: review.Decide | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._metrics = metrics
        self._decisions = _DECISIONS if decide is None else dict.fromkeys(_DECISIONS, decide)
        self.max_bytes = max_bytes

    def __call__(self, path: bytes, body: bytes, *, whole: bool) -> Response:
        """Answer one request; the path is one of `naming.webhook_path`, the body whole or the beginning of one."""
        decide = self._decisions.get(path)
        if decide is None:
            return _ELSEWHERE
        started = time.perf_counter()
        answer = review.answer(body, decide) if whole else review.too_large(body)
        if answer.error is not None:
            LOG.error("review failed, pod allowed without a patch", exc_info=answer.error)
        self._metrics.reviewed(answer.outcome, time.perf_counter() - started)
        return Response(200, _JSON, answer.body)


async def serve_reviews(handler: Reviews, context: ssl.SSLContext, address: str, port: int) -> Server:
    """Listen for reviews, or raise NotReady."""
    limits = Limits(
        body_bytes=handler.max_bytes,
        request_seconds=REQUEST_SECONDS,
        idle_seconds=KEEP_ALIVE_SECONDS,
        shutdown_seconds=SHUTDOWN_SECONDS,
    )
    return await Server(handler, limits).start(bound(address, port, "--port"), context)
