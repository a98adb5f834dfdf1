"""The servers on real sockets: swap under load, limits, shutdown, health."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
import uvloop
from tests.support.serving import material, trusting, use

from anchorline.plan import injection
from anchorline.shell.webhook import reviews, server
from anchorline.shell.webhook.metrics import Metrics

REVIEW = orjson.dumps(
    {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "u-1",
            "kind": {"kind": "Pod"},
            "operation": "CREATE",
            "object": {"metadata": {}, "spec": {"containers": [{"name": "web"}]}},
        },
    }
)


@asynccontextmanager
async def answering(context: ssl.SSLContext, **settings: Any) -> AsyncIterator[str]:
    serving = await reviews.serve_reviews(reviews.Reviews(Metrics(), **settings), context, "127.0.0.1", 0)
    try:
        yield f"https://127.0.0.1:{serving.port}/mutate?timeout=5s"
    finally:
        await serving.stop()


def test_the_certificate_is_swapped_under_load_with_no_failed_request() -> None:
    old, new = material(), material()
    served: set[bytes] = set()

    async def client(url: str, stop: asyncio.Event, *, keep: bool) -> int:
        connector = aiohttp.TCPConnector(ssl=trusting(old, new), force_close=not keep)
        count = 0
        async with aiohttp.ClientSession(connector=connector) as session:
            while not stop.is_set():
                async with session.post(url, data=REVIEW) as answer:
                    assert answer.status == 200
                    if not keep and answer.connection and answer.connection.transport:
                        served.add(answer.connection.transport.get_extra_info("ssl_object").getpeercert(True))
                    assert b'"allowed":true' in await answer.read()
                    count += 1
        return count

    async def main() -> None:
        context, stop = server.tls_context(), asyncio.Event()
        use(context, old)
        async with answering(context) as url:
            clients = [asyncio.create_task(client(url, stop, keep=i % 2 == 0)) for i in range(6)]
            for number in range(10):
                await asyncio.sleep(0.1)
                use(context, (new, old)[number % 2])
            use(context, new)
            await asyncio.sleep(0.1)
            stop.set()
            assert all([await task > 0 for task in clients])
            async with aiohttp.ClientSession() as session, session.post(url, data=REVIEW, ssl=trusting(new)) as answer:
                assert answer.status == 200

    uvloop.run(main())
    assert {new.serving.certificate.der, old.serving.certificate.der} >= served


def test_a_key_that_does_not_fit_is_refused_and_the_old_certificate_stays() -> None:
    old, other = material(), material()

    async def main() -> None:
        context = server.tls_context()
        use(context, old)
        with pytest.raises(ssl.SSLError):
            server.load(context, other.serving.certificate.pem, old.serving.key.to_pem())
        async with (
            answering(context) as url,
            aiohttp.ClientSession() as session,
            session.post(url, data=REVIEW, ssl=trusting(old)) as answer,
        ):
            assert answer.status == 200

    uvloop.run(main())


@pytest.mark.parametrize(
    ("body", "warning"),
    [(b"", "understand"), (b"{", "understand"), (REVIEW[:-1], "understand"), (b"x" * 5000, "large")],
)
def test_no_body_makes_an_error(body: bytes, warning: str) -> None:
    async def main() -> None:
        context, made = server.tls_context(), material()
        use(context, made)
        async with (
            answering(context, max_bytes=4096) as url,
            aiohttp.ClientSession() as session,
            session.post(url, data=body, ssl=trusting(made)) as answer,
        ):
            assert answer.status == 200
            response = (await answer.json())["response"]
            assert response["allowed"] is True
            assert warning in response["warnings"][0]

    uvloop.run(main())


def test_beyond_the_limit_the_uid_still_comes_back() -> None:
    async def main() -> None:
        context, made = server.tls_context(), material()
        use(context, made)
        async with (
            answering(context) as url,
            aiohttp.ClientSession() as session,
            session.post(url, data=REVIEW + b" " * (reviews.MAX_BYTES + 1), ssl=trusting(made)) as answer,
        ):
            assert answer.status == 200
            assert (await answer.json())["response"] == {
                "uid": "u-1",
                "allowed": True,
                "warnings": ["anchorline: not injected: the request is too large"],
            }

    uvloop.run(main())


@pytest.mark.parametrize(
    ("path", "names"),
    [("", set()), ("/jks", {"JAVA_TOOL_OPTIONS"}), ("/jks.wgetrc", {"JAVA_TOOL_OPTIONS", "WGETRC"}), ("/p12", None)],
)
def test_the_path_says_which_formats_are_injected(path: str, names: set[str] | None) -> None:
    async def main() -> None:
        context, made = server.tls_context(), material()
        use(context, made)
        async with (
            answering(context) as url,
            aiohttp.ClientSession() as session,
            session.post(url.replace("/mutate", f"/mutate{path}"), data=REVIEW, ssl=trusting(made)) as answer,
        ):
            assert answer.status == (404 if names is None else 200)
            if names is not None:
                patch = orjson.loads(base64.b64decode((await answer.json())["response"]["patch"]))
                (env,) = (each["value"] for each in patch if each["path"].endswith("/env"))
                assert {each["name"] for each in env} == {*injection.VARIABLES, *names}

    uvloop.run(main())


async def refused(address: str, port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                return
            writer.transport.abort()
            await asyncio.sleep(0.01)


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def test_a_body_that_comes_in_pieces_is_put_together() -> None:
    async def main() -> None:
        context, made = server.tls_context(), material()
        use(context, made)
        async with (
            answering(context) as url,
            aiohttp.ClientSession() as session,
            session.post(url, data=in_pieces(REVIEW[:7], REVIEW[7:90], REVIEW[90:]), ssl=trusting(made)) as answer,
        ):
            assert (await answer.json())["response"]["uid"] == "u-1"

    uvloop.run(main())


def test_who_leaves_in_the_middle_of_a_body_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        context, made, metrics = server.tls_context(), material(), Metrics()
        use(context, made)
        serving = await reviews.serve_reviews(reviews.Reviews(metrics), context, "127.0.0.1", 0)
        half = b"POST /mutate HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 900\r\n\r\n{"
        for request, said in ((half, b"HTTP/1.1 100"), (b"what is this?\r\n\r\n", b"HTTP/1.1 400")):
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, ssl=trusting(made))
            writer.write(request)
            assert (await reader.readline()).startswith(said)
            writer.transport.abort()
        async with aiohttp.ClientSession() as session:
            url = f"https://127.0.0.1:{serving.port}/mutate"
            async with session.post(url, data=REVIEW, ssl=trusting(made)) as answer:
                assert answer.status == 200
        await serving.stop()
        assert b"duration_seconds_count 1.0" in metrics.text()

    uvloop.run(main())
    assert [record.message for record in caplog.records] == [
        "request refused, 400: this cannot be read as HTTP/1.1: Invalid method encountered"
    ]


def test_a_review_that_is_open_is_finished_and_nothing_is_accepted_any_more() -> None:
    async def main() -> None:
        context, made = server.tls_context(), material()
        use(context, made)
        serving = await reviews.serve_reviews(reviews.Reviews(Metrics()), context, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{serving.port}/mutate"
        async with aiohttp.ClientSession() as session:
            begun, rest = asyncio.Event(), asyncio.Event()

            async def slowly() -> AsyncIterator[bytes]:
                begun.set()
                await rest.wait()
                yield REVIEW

            asked = asyncio.create_task(session.post(url, data=slowly(), expect100=True, ssl=trusting(made)))
            await begun.wait()
            stopping = asyncio.create_task(serving.stop())
            await refused("127.0.0.1", serving.port)
            assert not stopping.done()
            rest.set()
            async with await asked as answer:
                assert answer.status == 200
                assert (await answer.json())["response"]["uid"] == "u-1"
            await stopping

    uvloop.run(main())


def test_old_tls_is_refused() -> None:
    assert server.tls_context().minimum_version is ssl.TLSVersion.TLSv1_2


def test_health_says_why_and_metrics_count() -> None:
    metrics = Metrics()
    metrics.reviewed("injected", 0.0002)
    metrics.serving_until(1234567890.0)
    probes = server.Probes(live=lambda: server.Health(True, "ok"), ready=lambda: server.Health(False, "not yet"))

    async def main() -> None:
        runner = await server.serve_health(probes, metrics, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{server.port_of(runner)}"
        async with aiohttp.ClientSession(base) as session:
            assert (await session.get("/healthz")).status == 200
            ready = await session.get("/readyz")
            assert (ready.status, await ready.text()) == (503, "not yet\n")
            text = await (await session.get("/metrics")).text()
        await runner.cleanup()
        assert 'anchorline_webhook_requests_total{outcome="injected"} 1.0' in text
        assert "anchorline_webhook_request_duration_seconds_count 1.0" in text
        assert "anchorline_webhook_serving_certificate_not_after_timestamp_seconds 1.23456789e+09" in text

    uvloop.run(main())
