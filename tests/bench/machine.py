"""How fast this machine is, against the one on which the absolute limits were set (`facts/libraries.md`).

Keys and certificates by the same library (part C), in two processes at once: every scenario keeps two cores busy, and
there two processes did twice as much as one. Two cores that are one in truth do not.

What an API server takes part in goes by the CPU of the same API server for the same write (part F): that feels memory
and caches that are shared with others, as a loop of one library does not.
"""

import base64
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.bench.figures import Sheet
from tests.bench.stage import Stage, spread

from anchorline.kube.resources import SECRETS

# There, a second, each process.
KEYS, CERTIFICATES = 56_500, 8_900
PROCESSES = 2
SECONDS = 0.5
ROUNDS = 3
# How often a process that is to be late wakes, and after how long each time.
WAKES, WAKE_SECONDS = 3000, 0.001
# CPU of kube-apiserver there for a new Secret of 3 kB, sent as protobuf, 50 at once; the median of three runs.
SECRET_MS, SECRET_BYTES, SECRETS_A_RUN, AT_ONCE = 1.50, 3000, 500, 50


def judged_by_cryptography(sheet: Sheet) -> Sheet:
    """The sheet, with how many times as long it takes here: the geometric mean of both."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_rates, range(PROCESSES)))
    keys, certificates = (sum(each) / PROCESSES for each in zip(*found, strict=True))
    sheet.note("P-256 keys, each of two processes", keys, "/s")
    sheet.note("P-256 certificates, each of two processes", certificates, "/s")
    times = ((KEYS / keys) * (CERTIFICATES / certificates)) ** 0.5
    sheet.note("as slow as the machine of the limits, so many times", times, "x")
    return replace(sheet, slow=float(times))


def _rates(_: int) -> tuple[float, float]:
    return _rate(lambda: ec.generate_private_key(ec.SECP256R1())), _rate(_certificate())


def _rate(work: Callable[[], object]) -> float:
    """The best of some rounds: who else runs here makes the others worse."""
    return max(_round(work) for _ in range(ROUNDS))


def _round(work: Callable[[], object]) -> float:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        work()
        done += 1
    return done / (time.perf_counter() - began)


def _certificate() -> Callable[[], object]:
    """Builds and signs a leaf with six extensions."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName("web.shop.svc")]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False),
    )

    def build() -> object:
        builder = x509.CertificateBuilder(name, name, public, 1, start, start + timedelta(days=90))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer, hashes.SHA256())

    return build


class Stolen:
    """What the host took from this machine's cores since then (proc(5), `steal`), for others that it runs."""

    def __init__(self) -> None:
        self._before = _ticks()

    def percent(self) -> float:
        """Of all the time that there was, on all cores. It is taken for milliseconds at a time: tails feel it first."""
        total, steal = (now - then for now, then in zip(_ticks(), self._before, strict=True))
        return steal / max(1, total) * 100


def _ticks() -> tuple[int, int]:
    # user nice system idle iowait irq softirq steal; those of guests are in user's.
    values = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(values), values[7]


def lateness_ms() -> float:
    """How late a process wakes here at the 99th percentile, in milliseconds, when nothing of ours runs.

    Two processes are due each millisecond and compute for a quarter of it, as who asks a webhook a thousand times a
    second and the webhook do. No answer comes sooner than who gives it wakes.
    """
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = sorted(late for each in pool.map(_late, range(PROCESSES)) for late in each)
    return found[len(found) * 99 // 100] * 1000


def _late(_: int) -> list[float]:
    found, due = [], time.perf_counter()
    for _wake in range(WAKES):
        due += WAKE_SECONDS
        while (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        found.append(time.perf_counter() - due)
        end = time.perf_counter() + WAKE_SECONDS / 4
        while time.perf_counter() < end:
            pass
    return found


async def judged_by_the_server(sheet: Sheet, stage: Stage) -> Sheet:
    """The sheet, with how many times as much CPU the same write costs the same API server here."""
    (space,) = await stage.namespaces("plain", 1)
    costs = [await _secrets(stage, space, run) for run in range(ROUNDS)]
    times = statistics.median(costs) / SECRET_MS
    sheet.note("API server CPU for a plain Secret", statistics.median(costs), "ms")
    sheet.note("as slow as the machine of the limits, so many times", times, "x")
    return replace(sheet, slow=times)


async def _secrets(stage: Stage, space: str, run: int) -> float:
    """Milliseconds of kube-apiserver for each of some Secrets that nobody but the server looks at."""
    content = {"data": {"bytes": base64.b64encode(b"x" * SECRET_BYTES).decode()}}

    async def create(number: int) -> None:
        meta = {"metadata": {"name": f"plain-{run}-{number}", "namespace": space}}
        await stage.admin.create(SECRETS, {**meta, **content}, protobuf=True)

    await stage.quiet()
    before = stage.server_cpu("kube-apiserver")
    await spread(range(SECRETS_A_RUN), create, at_once=AT_ONCE)
    return (stage.server_cpu("kube-apiserver") - before) / SECRETS_A_RUN * 1000
