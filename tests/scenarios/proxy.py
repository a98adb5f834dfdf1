"""Stands between an operator and the API server: counts its writes, ends it at one of them, answers it badly."""

import asyncio
import ipaddress
import itertools
import json
import os
import random
import re
import signal
import ssl
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TOO_MANY = 429
PASSED = ("Authorization", "Accept", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Blow:
    """End the process `pid` at write number `at`, counted from now: after its answer, or so that it never gets it."""

    pid: int
    at: int
    answer_lost: bool


class Weather:
    """What goes wrong on the wire: a share of all writes, and every watch after some seconds.

    A write is refused as by a server that is busy, broken or sees a conflict; or it is done, and its answer is lost.
    """

    REFUSED, LOST = (409, 429, 500, 503), ("gateway", "cut")
    SHARE, WATCH_SECONDS = 0.3, (2.0, 8.0)

    def __init__(self, seed: int) -> None:
        self._dice, self._next = random.Random(seed), itertools.cycle((*self.REFUSED, *self.LOST))
        self.befell: Counter[str] = Counter()

    def write(self) -> int | str | None:
        """What befalls the next write; None: nothing."""
        fault = next(self._next) if self._dice.random() < self.SHARE else None
        self.befell[str(fault)] += 1
        return fault

    def watch(self) -> float:
        """After how many seconds the next watch is told that it is too old (410)."""
        self.befell["410"] += 1
        return self._dice.uniform(*self.WATCH_SECONDS)


@dataclass
class Proxy:
    """A reverse proxy on loopback, for one API server."""

    upstream: str
    upstream_ca: Path
    folder: Path
    server: str = ""
    writes: list[str] = field(default_factory=list)
    struck: threading.Event = field(default_factory=threading.Event)
    weather: Weather | None = None
    _blow: Blow | None = None
    _about: re.Pattern[bytes] = re.compile(b"")
    _watches: set[asyncio.Timeout] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def ca_file(self) -> Path:
        """What its clients have to trust."""
        return self.folder / "proxy.crt"

    def start(self) -> "Proxy":
        """Serve in a thread that ends with the process."""
        _make_certificate(self.ca_file, self.folder / "proxy.key")
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True).start()
        assert ready.wait(20), "the proxy does not start"
        return self

    def brew(self, weather: Weather | None) -> None:
        """Have bad weather from now on, watches that are open included, or fine weather again."""
        self.weather = weather
        if weather is not None:
            self._loop.call_soon_threadsafe(self._age_watches)

    def _age_watches(self) -> None:
        for watch in self._watches:
            watch.reschedule(self._ends())

    def _ends(self) -> float | None:
        """Until when a watch may last that is open now: a time of the loop."""
        return self._loop.time() + self.weather.watch() if self.weather is not None else None

    def arm(self, blow: Blow | None, name: str) -> None:
        """Count writes that are about `name` from now on; `blow` says when to strike."""
        self._blow, self._about = blow, re.compile(rf"{name}(?!\d)".encode())
        self.struck.clear()
        self.writes = []

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        tls = ssl.create_default_context(cafile=self.upstream_ca)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
        )
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        mine = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        mine.load_cert_chain(self.ca_file, self.folder / "proxy.key")
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=mine).start()
        self.server = f"https://127.0.0.1:{runner.addresses[0][1]}"

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        headers = {key: request.headers[key] for key in PASSED if key in request.headers}
        body = await request.read()
        fault = self.weather.write() if self.weather is not None and _counts(request) else None
        if isinstance(fault, int):
            headers = {"Retry-After": "1"} if fault == TOO_MANY else {}
            return web.json_response(_status(fault), status=fault, headers=headers)
        async with self._session.request(
            request.method, self.upstream + request.raw_path, headers=headers, data=body or None
        ) as answer:
            if fault is not None:
                return await _lost(request, answer, fault)
            if _counts(request) and self._about.search(request.path.encode() + b" " + body):
                return await self._write(request, answer)
            response = web.StreamResponse(status=answer.status, headers=_headers(answer))
            response.enable_chunked_encoding()
            await response.prepare(request)
            with suppress(aiohttp.ClientError, ConnectionError):  # either side went away in the middle
                if "watch" in request.query:
                    await self._watch(response, answer)
                else:
                    await _stream(response, answer)
                await response.write_eof()
            return response

    async def _watch(self, response: web.StreamResponse, answer: aiohttp.ClientResponse) -> None:
        try:
            async with asyncio.timeout_at(self._ends()) as limit:
                self._watches.add(limit)
                await _stream(response, answer)
        except TimeoutError:
            await response.write(json.dumps({"type": "ERROR", "object": _status(410)}).encode() + b"\n")
        finally:
            self._watches.discard(limit)

    async def _write(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass a write's answer on, and strike when it is the one."""
        body = await answer.read()
        self.writes.append(f"{request.method} {request.path} {answer.status}")
        blow = self._blow
        strikes = blow is not None and len(self.writes) == blow.at
        if strikes and blow is not None and blow.answer_lost:
            self._strike(blow)
        response = web.Response(status=answer.status, body=body, headers=_headers(answer))
        with suppress(ConnectionError):  # whoever asked is gone
            await response.prepare(request)
            await response.write_eof()
        if strikes and blow is not None and not blow.answer_lost:
            self._strike(blow)
        return response

    def _strike(self, blow: Blow) -> None:
        os.kill(blow.pid, signal.SIGKILL)
        self.struck.set()


def _counts(request: web.Request) -> bool:
    """Whether it is a write, and not one of the Lease."""
    return request.method in WRITES and "/leases" not in request.path


def _status(code: int) -> dict[str, object]:
    reasons = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    said = {"status": "Failure", "code": code, "reason": reasons[code], "message": "bad weather"}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, **said}


async def _lost(request: web.Request, answer: aiohttp.ClientResponse, fault: str) -> web.StreamResponse:
    """The write was done, and nobody hears of it."""
    await answer.read()
    if fault == "cut" and request.transport is not None:
        request.transport.abort()
    return web.Response(status=504, text="no answer in time")


async def _stream(response: web.StreamResponse, answer: aiohttp.ClientResponse) -> None:
    async for chunk in answer.content.iter_any():
        await response.write(chunk)


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    kept = ("Content-Type", "Content-Encoding", "Date", "Retry-After")
    return {key: answer.headers[key] for key in kept if key in answer.headers}


def _make_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=proxy")
    now = datetime.fromtimestamp(certificate.parent.stat().st_mtime, UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(private.private_bytes(pem, pkcs8, plain))
