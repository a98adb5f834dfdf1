"""How fast this machine is, against the one on which the absolute limits were set (`facts/libraries.md`, part C).

Keys and certificates by the same library, in two processes at once: every scenario keeps two cores busy, and there two
processes did twice as much as one. Two cores that are one in truth do not.
"""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.bench.figures import Sheet

# There, a second, each process.
KEYS, CERTIFICATES = 56_500, 8_900
PROCESSES = 2
SECONDS = 0.5
ROUNDS = 3


def slowness(sheet: Sheet) -> float:
    """How many times as long it takes here: the geometric mean of both."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_rates, range(PROCESSES)))
    keys, certificates = (sum(each) / PROCESSES for each in zip(*found, strict=True))
    sheet.note("P-256 keys, each of two processes", keys, "/s")
    sheet.note("P-256 certificates, each of two processes", certificates, "/s")
    times = ((KEYS / keys) * (CERTIFICATES / certificates)) ** 0.5
    sheet.note("as slow as the machine of the limits, so many times", times, "x")
    return float(times)


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
