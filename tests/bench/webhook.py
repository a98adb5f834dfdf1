"""Reviews a second and latency of one webhook process over TLS, with a 5.8 kB pod: `python tests/bench/webhook.py`."""

import asyncio
import datetime as dt
import json
import multiprocessing
import ssl
import time
from collections import defaultdict
from ipaddress import ip_address
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import orjson
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from anchorline.shell.collector import quiet_collector
from anchorline.shell.webhook import reviews, server
from anchorline.shell.webhook.metrics import Metrics

REVIEW_BYTES = 5800


def a_review() -> bytes:
    """An AdmissionReview of REVIEW_BYTES: two containers, an init container, the API server's defaults, padding."""
    token = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10}

    def container(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": f"registry.example.com/shop/{name}:1.2.3",
            "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(8)],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [token],
            "livenessProbe": probe,
            "readinessProbe": probe,
            "terminationMessagePath": "/dev/termination-log",
            "imagePullPolicy": "IfNotPresent",
        }

    pod: dict[str, Any] = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"generateName": "web-", "namespace": "shop", "labels": {"app": "web"}, "annotations": {}},
        "spec": {
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
            "initContainers": [container("migrate")],
            "containers": [container("web"), container("proxy")],
            "serviceAccountName": "default",
        },
    }
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "shop",
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    pod["metadata"]["annotations"]["padding"] = "x" * max(0, REVIEW_BYTES - len(orjson.dumps(review)) - 12)
    return orjson.dumps(review)


def serving_pair() -> tuple[bytes, bytes]:
    """A self-signed P-256 certificate for 127.0.0.1 and its key, PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    start = dt.datetime.fromtimestamp(time.time() - 60, dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + dt.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(pem, pkcs8, plain)


def _serve(pipe: Connection) -> None:
    async def main() -> None:
        context = server.tls_context()
        server.load(context, *serving_pair())
        quiet_collector()
        serving = await reviews.serve_reviews(reviews.Reviews(Metrics()), context, "127.0.0.1", 0)
        pipe.send(serving.port)
        started = time.process_time()
        await asyncio.to_thread(pipe.recv)
        pipe.send(time.process_time() - started)
        await serving.stop()

    uvloop.run(main())


class RawClient:
    """One keep-alive connection that sends a prepared request: light, so that it is the server which is measured."""

    def __init__(self, port: int, body: bytes) -> None:
        self.port = port
        head = "POST /mutate?timeout=5s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self.request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def open(self) -> None:
        """Connect over TLS, without verification."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, limit=2**20)

    async def send(self) -> None:
        """One review, and its answer."""
        self.writer.write(self.request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await self.reader.readexactly(length)


async def _load(port: int, *, seconds: float, connections: int, rate: float | None) -> dict[str, float]:
    """As fast as it goes over `connections`, or `rate` a second (open loop: late requests count their waiting)."""
    body = a_review()
    clients = [RawClient(port, body) for _ in range(connections)]
    await asyncio.gather(*(client.open() for client in clients))
    answered: list[tuple[float, float]] = []
    start = time.perf_counter()

    async def ask(client: RawClient, due: float) -> None:
        await client.send()
        answered.append((due - start, time.perf_counter() - due))

    async def flood(client: RawClient) -> None:
        while (now := time.perf_counter()) - start < seconds:
            await ask(client, now)

    async def paced(client: RawClient, offset: int) -> None:
        for number in range(int(seconds * (rate or 0) / connections)):
            due = start + (number * connections + offset) / (rate or 1)
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await ask(client, due)

    await asyncio.gather(*(paced(c, i) if rate else flood(c) for i, c in enumerate(clients)))
    elapsed = time.perf_counter() - start
    for client in clients:
        client.writer.transport.abort()
    return {"reviews_per_second": len(answered) / elapsed, **_times(answered)}


def _times(answered: list[tuple[float, float]]) -> dict[str, float]:
    """Quantiles of the seconds that answers took, in ms; each is told with when it was due, in seconds."""
    taken = [each for _, each in answered]
    by_second: defaultdict[int, list[float]] = defaultdict(list)
    for due, each in answered:
        by_second[int(due)].append(each)
    return {
        "p50_ms": median(taken) * 1000,
        "p99_ms": _p99(taken) * 1000,
        # A machine that stands still once, for reasons of its own, spoils one of these.
        "p99_ms_of_a_second": median(map(_p99, by_second.values())) * 1000,
        "max_ms": max(taken) * 1000,
    }


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99)]


def measure(*, seconds: float = 5.0, connections: int = 16, rate: float = 1000.0) -> dict[str, float]:
    """Reviews a second with `connections`, and p50 and p99 (ms) at `rate` a second; one server process.

    p99 is that of the whole time, and the median of those of its single seconds.
    """
    quiet_collector()  # who asks would be late to hear an answer: to look through all of the bench takes 27 ms
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        port = ours.recv()
        uvloop.run(_load(port, seconds=0.5, connections=connections, rate=None))
        most = uvloop.run(_load(port, seconds=seconds, connections=connections, rate=None))
        paced = uvloop.run(_load(port, seconds=seconds, connections=8, rate=rate))
        ours.send("stop")
        cpu = ours.recv()
    finally:
        process.join(5)
        process.kill()
    total = most["reviews_per_second"] * (seconds + 0.5) + rate * seconds
    return {
        "review_bytes": len(a_review()),
        "reviews_per_second": round(most["reviews_per_second"]),
        "p50_ms_at_full_load": round(most["p50_ms"], 3),
        "p99_ms_at_full_load": round(most["p99_ms"], 3),
        "rate": rate,
        "p50_ms_at_rate": round(paced["p50_ms"], 3),
        "p99_ms_at_rate": round(paced["p99_ms"], 3),
        "p99_ms_of_a_second_at_rate": round(paced["p99_ms_of_a_second"], 3),
        "server_cpu_us_per_review": round(cpu / total * 1e6, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
