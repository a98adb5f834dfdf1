"""Stands between an operator and the API server, counts its writes, and ends the operator at one of them."""

import asyncio
import ipaddress
import os
import signal
import ssl
import threading
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
PASSED = ("Authorization", "Accept", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Blow:
    """End the process `pid` at write number `at`, counted from now: after its answer, or so that it never gets it."""

    pid: int
    at: int
    answer_lost: bool


@dataclass
class Proxy:
    """A reverse proxy on loopback, for one API server."""

    upstream: str
    upstream_ca: Path
    folder: Path
    server: str = ""
    writes: list[str] = field(default_factory=list)
    struck: threading.Event = field(default_factory=threading.Event)
    _blow: Blow | None = None
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

    def arm(self, blow: Blow | None) -> None:
        """Count from now on; `blow` says when to strike."""
        self._blow = blow
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
        async with self._session.request(
            request.method, self.upstream + request.raw_path, headers=headers, data=body or None
        ) as answer:
            if request.method in WRITES and "/leases" not in request.path:
                return await self._write(request, answer)
            return await _stream(request, answer)

    async def _write(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass a write's answer on, and strike when it is the one."""
        body = await answer.read()
        self.writes.append(f"{request.method} {request.path} {answer.status}")
        blow = self._blow
        strikes = blow is not None and len(self.writes) == blow.at
        if strikes and blow is not None and blow.answer_lost:
            self._strike(blow)
        response = web.Response(status=answer.status, body=body, headers=_headers(answer))
        await response.prepare(request)
        await response.write_eof()
        if strikes and blow is not None and not blow.answer_lost:
            self._strike(blow)
        return response

    def _strike(self, blow: Blow) -> None:
        os.kill(blow.pid, signal.SIGKILL)
        self.struck.set()


async def _stream(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    response.enable_chunked_encoding()
    await response.prepare(request)
    with suppress(aiohttp.ClientError, ConnectionError):  # either side went away in the middle
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    return response


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
