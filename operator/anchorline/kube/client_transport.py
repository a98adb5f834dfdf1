"""HTTP to the API server: TLS, tokens, time-outs, waiting out 429, the server's clock."""

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from yarl import URL

from anchorline.errors import ClusterError, InvalidSpec
from anchorline.kube.client_errors import TOO_MANY, UNAUTHORIZED
from anchorline.kube.connection import Connection
from anchorline.kube.http1 import Pool

POOL: Final = 64
# The API server closes idle connections after 90 s; ours must go first, or a write is lost on a closing one.
_KEEP_ALIVE_SECONDS: Final = 75.0
_PATIENCE_SECONDS: Final = 30.0
_READ_TRIES: Final = 3
_NOT_OPEN: Final = "the client is not open; use `async with Client(...)`"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    content_type: str
    body: bytes


class Transport:
    """Sends requests. `clock` is the local wall clock in seconds since 1970, for `clock_offset` only."""

    def __init__(self, connection: Connection, *, timeout: float, clock: Callable[[], float] = time.time) -> None:
        self.connection = connection
        self.timeout = timeout
        self._clock = clock
        self._pool: Pool | None = None
        self._session: aiohttp.ClientSession | None = None
        self._date = ""
        self._server_epoch = 0.0
        self._seen_at = 0.0
        self.clock_offset: float | None = None

    async def open(self) -> None:
        """Make a pool for requests and a session for streams (ADR 8); no request is sent yet.

        Raises ClusterError when certificates cannot be read, InvalidSpec when the server's address is no URL.
        """
        connection, context = self.connection, self.connection.ssl_context()
        self._pool = _pool(connection, context)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL, ssl=context or True, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": connection.user_agent},
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Content-Type"),
            read_bufsize=2**20,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._pool:
            self._pool.close()
        if self._session:
            await self._session.close()

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock now, to about a second; None before its first answer."""
        if not self._date:
            return None
        return datetime.fromtimestamp(self._server_epoch + time.monotonic() - self._seen_at, UTC)

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        within: float | None = None,
    ) -> Answer:
        """Send one request and read the answer. `within` is in seconds, for everything together.

        Waits out 429 (nothing was done, so writes too); tries reads again when the connection breaks, writes never:
        whether it was done is for the caller to find out. Raises ClusterError (status 0) when there is no answer.
        """
        seconds = within or self.timeout
        give_up = time.monotonic() + min(seconds, _PATIENCE_SECONDS)
        tries = _READ_TRIES if method == "GET" else 1
        try:
            async with asyncio.timeout(seconds):
                while True:
                    tries -= 1
                    try:
                        answer, wait = await self._once(method, target, headers, body)
                    except OSError as error:
                        if not tries or isinstance(error, ssl.SSLCertVerificationError):
                            raise
                        await asyncio.sleep(random.uniform(0.05, 0.2))  # noqa: S311 - jitter
                        continue
                    if answer.status != TOO_MANY or time.monotonic() + wait > give_up:
                        return answer
                    tries += 1
                    await asyncio.sleep(wait)
        except TimeoutError:
            raise self._silence(method, target, f"no answer within {seconds:g} s") from None
        except OSError as error:
            raise self._silence(method, target, str(error) or type(error).__name__) from error
        except ValueError as error:
            raise self._silence(method, target, f"{error}; look at the token") from None

    async def _once(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Answer, float]:
        """Send once; returns the answer and the seconds to wait if it is a 429."""
        if self._pool is None:
            raise RuntimeError(_NOT_OPEN)
        if method == "GET":
            headers = {**headers, "Accept-Encoding": "gzip"}
        response = await self._pool.request(method, target, await self._authorized(headers), body)
        self._look_at(response.status, response.header(b"date"))
        answer = Answer(response.status, response.header(b"content-type"), response.body)
        return answer, _retry_after(response.header(b"retry-after")) if response.status == TOO_MANY else 0.0

    async def stream(self, target: str, *, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Open a GET whose body comes bit by bit; the caller closes it. Raises ClusterError without an answer."""
        if self._session is None:
            raise RuntimeError(_NOT_OPEN)
        url = URL(self.connection.server + target, encoded=True)
        name = self.connection.tls_server_name or None
        try:
            async with asyncio.timeout(self.timeout):
                authorized = await self._authorized(headers)
                response = await self._session.get(url, headers=authorized, allow_redirects=False, server_hostname=name)
        except TimeoutError:
            raise self._silence("GET", target, f"no answer within {self.timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._silence("GET", target, str(error) or type(error).__name__) from error
        self._look_at(response.status, response.headers.get("Date", ""))
        return response

    async def _authorized(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        if self.connection.token_is_stale:
            await self._refresh_token()
        token = self.connection.token
        return {**headers, "Authorization": f"Bearer {token}"} if token else headers

    async def _refresh_token(self) -> None:
        """Read a file here, but run an exec plugin in a thread: it may ask the network."""
        if self.connection.token_source:
            await asyncio.to_thread(self.connection.refresh_token)
        else:
            self.connection.refresh_token()

    def _look_at(self, status: int, date: str) -> None:
        """Note a refused token, and the server's clock: its header has whole seconds and is read once for each."""
        if status == UNAUTHORIZED:
            self.connection.forget_token()
        if date in ("", self._date):
            return
        try:
            epoch = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        # The header is cut to the second: on average half of one has passed.
        self._date, self._server_epoch, self._seen_at = date, epoch + 0.5, time.monotonic()
        self.clock_offset = self._server_epoch - self._clock()

    def _silence(self, method: str, target: str, why: str) -> ClusterError:
        path = target.partition("?")[0]
        return ClusterError(
            f"cannot reach the API server {self.connection.server} for {method} {path}: {why}", status=0
        )


def _pool(connection: Connection, context: ssl.SSLContext | None) -> Pool:
    try:
        return Pool(
            connection.server,
            context,
            tls_name=connection.tls_server_name,
            agent=connection.user_agent,
            most=POOL,
            idle=_KEEP_ALIVE_SECONDS,
        )
    except ValueError:
        raise InvalidSpec(
            f'the API server\'s address "{connection.server}" is no URL; write it like https://10.0.0.1:6443'
        ) from None


def _retry_after(header: str) -> float:
    """Seconds of a Retry-After header (RFC 9110 10.2.3; the API server sends whole seconds), with jitter; 1 without."""
    seconds = float(header) if header.isdigit() else 1.0
    return seconds + random.uniform(0, 0.2)  # noqa: S311 - jitter
