"""Clients and servers of a simulated cluster, and what each of them may have read at a moment.

Nobody is given one lag: a process may have any content that was there within the last LAG, and a chain that was once
handed out may be served until its leaf ends. Every combination has to verify, so every choice of lags is covered.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cryptography.x509 import DNSName
from cryptography.x509 import verification as others

from anchorline import pki

LAG = timedelta(minutes=10)
Chain = tuple[pki.Certificate, ...]
T = TypeVar("T")


@dataclass
class History(Generic[T]):
    """What a file held, and since when; `honest` is False for what a vandal wrote, None is no file."""

    entries: list[tuple[float, T | None, bool]] = field(default_factory=list)

    def put(self, at: float, content: T | None, *, honest: bool = True) -> None:
        """Another content from now on; the same content again changes nothing."""
        if not self.entries or self.entries[-1][1] != content:
            self.entries.append((at, content, honest))

    def readable(self, at: float, *, honest: bool = True) -> list[T]:
        """Contents that a process may have now: all that were there within the last LAG, and maybe a vandal's."""
        oldest = at - LAG.total_seconds()
        found: list[T] = []
        for turn, (_, content, good) in enumerate(self.entries):
            ended = self.entries[turn + 1][0] if turn + 1 < len(self.entries) else at
            if content is not None and (good or not honest) and (ended > oldest or turn + 1 == len(self.entries)):
                found.append(content)
        return found

    def settled(self, at: float) -> bool:
        """Whether everybody has read what is there now."""
        return bool(self.entries) and at - self.entries[-1][0] > LAG.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A chain as we wrote it into a Secret: whose it is, and the generation of its root."""

    ca: str
    generation: int
    chain: Chain
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A process that read its trust once: everything that it may have read then."""

    name: str
    space: str
    trusts: tuple[pki.TrustBundle, ...]


class Verifier:
    """Verifies chains, each once between two dates at which something in it begins or ends.

    Every so-many-th verdict is compared with that of cryptography's own verifier.
    """

    def __init__(self, sample: int = 25) -> None:
        self._known: dict[tuple[str, str, int], str] = {}
        self._dates: dict[tuple[str, str], list[datetime]] = {}
        self._sample, self.asked = sample, 0

    def fault(self, served: Served, trust: pki.TrustBundle, now: datetime) -> str:
        """Why a client with this trust refuses this server, "" when it does not."""
        pair = served.digest, trust.digest
        if pair not in self._dates:
            every = (*served.chain, *trust)
            self._dates[pair] = sorted({time for each in every for time in (each.not_before, each.not_after)})
        key = (*pair, bisect_right(self._dates[pair], now))
        if key not in self._known:
            self._known[key] = self._verify(served.chain, trust, now)
        return self._known[key]

    def _verify(self, chain: Chain, trust: pki.TrustBundle, now: datetime) -> str:
        self.asked += 1
        fault = ""
        try:
            pki.verify_chain(chain, trust, now=now, dns_name=chain[0].names.dns[0])
        except pki.ChainError as error:
            fault = error.message
        if self.asked % self._sample == 0 and len(trust):
            assert _others_verdict(chain, trust, now) == (not fault), f"two verifiers disagree: {fault!r}"
        return fault


def _others_verdict(chain: Chain, trust: pki.TrustBundle, now: datetime) -> bool:
    store = others.Store([each.parsed for each in trust])
    verifier = others.PolicyBuilder().store(store).time(now).build_server_verifier(DNSName(chain[0].names.dns[0]))
    try:
        verifier.verify(chain[0].parsed, [each.parsed for each in chain[1:]])
    except others.VerificationError:
        return False
    return True


@dataclass
class Processes:
    """Files that are mounted somewhere, chains that are served, and pods that read once."""

    stores: dict[str, History[pki.TrustBundle]] = field(default_factory=dict)
    chains: dict[tuple[str, str], History[Served]] = field(default_factory=dict)
    beside: dict[tuple[str, str], History[pki.TrustBundle]] = field(default_factory=dict)
    ever: dict[str, Served] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)

    def store(self, space: str) -> History[pki.TrustBundle]:
        """The trust store of a namespace."""
        return self.stores.setdefault(space, History())

    def serving(self, at: float) -> Iterator[Served]:
        """Chains that servers may be sending now because their Secret held them within the last LAG."""
        for history in self.chains.values():
            yield from history.readable(at)

    def forget_ended(self, now: datetime) -> None:
        """Take out chains whose leaf has ended."""
        self.ever = {digest: each for digest, each in self.ever.items() if each.chain[0].not_after > now}
