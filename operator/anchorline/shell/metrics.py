"""Prometheus metrics of the operator; no label has unbounded values."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anchorline.kube.world import World
from anchorline.plan.world import RotationSeen
from anchorline.shell.clock import local_time

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What the operator counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "anchorline_reconcile_duration_seconds",
            "Seconds that one look at one object took.",
            ["kind"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors = Counter(
            "anchorline_reconcile_errors_total",
            "Looks that ended with an error.",
            ["kind", "reason"],
            registry=self.registry,
        )
        self._issued = Counter(
            "anchorline_certificates_issued_total",
            "Leaf certificates issued, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._requests = Counter(
            "anchorline_api_requests_total",
            "Requests to the API server.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._leader = Gauge("anchorline_leader", "1 while this process holds the Lease.", registry=self.registry)

    @contextmanager
    def reconcile(self, kind: str) -> Iterator[None]:
        """Measure one look."""
        start = perf_counter()
        try:
            yield
        finally:
            self._seconds.labels(kind).observe(perf_counter() - start)

    def failed(self, kind: str, reason: str) -> None:
        """Count an error."""
        self._errors.labels(kind, reason).inc()

    def issued(self, reason: str) -> None:
        """Count a certificate."""
        self._issued.labels(reason).inc()

    def requested(self, verb: str, resource: str, code: int) -> None:
        """Count a request."""
        self._requests.labels(verb, resource, str(code)).inc()

    def leading(self, *, now: bool) -> None:
        """Say whether this process leads."""
        self._leader.set(1 if now else 0)

    def watch(self, world: World, depth: Callable[[], int]) -> None:
        """Have the state of the world read at each scrape."""
        self.registry.register(_World(world, depth))

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _World(Collector):
    """What is there: certificates by readiness, the end that comes first, stores, queue."""

    def __init__(self, world: World, depth: Callable[[], int]) -> None:
        self._world, self._depth = world, depth

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("anchorline_workqueue_depth", "Keys that wait or are worked on.", value=self._depth())
        yield GaugeMetricFamily("anchorline_trust_stores", "Trust stores that exist.", value=len(self._world.stores))
        if self._world.overlooked is not None:
            count = sum(map(len, self._world.overlooked.values()))
            yield GaugeMetricFamily(
                "anchorline_pods_without_trust", "Pods that were created while the webhook was away.", value=count
            )
        yield from self._certificates()
        yield from self._authorities()

    def _certificates(self) -> Iterator[Metric]:
        count = GaugeMetricFamily("anchorline_certificates", "Certificates.", labels=["authority", "ready"])
        first = GaugeMetricFamily(
            "anchorline_certificate_earliest_not_after_timestamp_seconds",
            "End of the certificate of this authority that ends first.",
            labels=["authority"],
        )
        counts: dict[tuple[str, str], int] = {}
        ends: dict[str, float] = {}
        known = self._world.cas
        for each in self._world.certificates.values():
            # Certificates may name anything: only CAs that exist become a label.
            name = each.spec.ca_ref.name if each.spec.ca_ref.name in known else ""
            ready = next((c.status for c in each.status.conditions if c.type == "Ready"), "Unknown")
            counts[name, ready] = counts.get((name, ready), 0) + 1
            if each.status.not_after is not None:
                ends[name] = min(ends.get(name, float("inf")), each.status.not_after.timestamp())
        for (name, ready), value in counts.items():
            count.add_metric([name, ready], value)
        for name, end in ends.items():
            first.add_metric([name], end)
        yield count
        yield first

    def _authorities(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("anchorline_authority_ready", "1 when the PrivateCA is Ready.", labels=["authority"])
        end = GaugeMetricFamily(
            "anchorline_authority_root_not_after_timestamp_seconds",
            "End of each live root.",
            labels=["authority", "generation"],
        )
        for name, ca in self._world.cas.items():
            ready.add_metric([name], float(any(c.type == "Ready" and c.status == "True" for c in ca.status.conditions)))
            for each in ca.status.generations:
                if each.phase != "Retired":
                    end.add_metric([name, str(each.number)], each.not_after.timestamp())
        yield ready
        yield end
        yield from self._rotations()

    def _rotations(self) -> Iterator[Metric]:
        phase = GaugeMetricFamily(
            "anchorline_root_phase", "1 for the phase of each live root.", labels=["authority", "generation", "phase"]
        )
        since = GaugeMetricFamily(
            "anchorline_root_phase_seconds",
            "How long each live root has been in its phase.",
            labels=["authority", "generation"],
        )
        now = local_time()
        for name, ca in self._world.cas.items():
            for each in ca.status.generations:
                if each.phase != "Retired":
                    phase.add_metric([name, str(each.number), str(each.phase)], 1)
                    if each.since is not None:
                        since.add_metric([name, str(each.number)], (now - each.since).total_seconds())
        yield phase
        yield since
        yield from self._pending()

    def _pending(self) -> Iterator[Metric]:
        """What a rotation still has before it: by the last look that was taken."""
        stores = GaugeMetricFamily(
            "anchorline_rotation_stores_pending",
            "Trust stores and ca.crt without the newest root.",
            labels=["authority"],
        )
        leaves = GaugeMetricFamily(
            "anchorline_rotation_certificates_pending", "Live certificates under an older root.", labels=["authority"]
        )
        for name, ca in self._world.cas.items():
            seen = self._world.rotations.get(name, RotationSeen())
            stores.add_metric([name], len(seen.stores_lacking) + len(seen.leaves_lacking))
            # All are under an older root until the newest one signs: it has none then that would tell of it.
            newest = max((each.number for each in ca.status.generations), default=0)
            leaves.add_metric([name], sum(count for generation, count in seen.under if generation < newest))
        yield stores
        yield leaves
