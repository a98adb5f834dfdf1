"""The webhook's metrics, in a registry of their own."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds. A review takes a tenth of a millisecond; the API server gives up after timeoutSeconds.
_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 5.0)


class Metrics:
    """What the webhook counts. Labels have few values only: outcomes are words of ours."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "anchorline_webhook_request_duration_seconds",
            "Seconds from a whole request to its answer.",
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._requests = Counter(
            "anchorline_webhook_requests_total",
            "Reviews, by what became of the pod.",
            ["outcome"],
            registry=self.registry,
        )
        self._not_after = Gauge(
            "anchorline_webhook_serving_certificate_not_after_timestamp_seconds",
            "When the serving certificate in use expires, Unix time; 0 without one.",
            registry=self.registry,
        )
        self._outcomes: dict[str, Counter] = {}

    def reviewed(self, outcome: str, seconds: float) -> None:
        """Count one review."""
        counter = self._outcomes.get(outcome)
        if counter is None:
            counter = self._outcomes[outcome] = self._requests.labels(outcome)
        counter.inc()
        self._seconds.observe(seconds)

    def serving_until(self, timestamp: float) -> None:
        """Say when the serving certificate in use expires (Unix time)."""
        self._not_after.set(timestamp)

    def text(self) -> bytes:
        """All of it in the Prometheus text format."""
        return generate_latest(self.registry)
