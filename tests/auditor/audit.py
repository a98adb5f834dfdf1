"""The audit: after every change, every chain that is in force against every trust store of its CA that is."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.auditor import facts
from tests.auditor.access import Object
from tests.auditor.facts import Chain, Store
from tests.auditor.judge import Judge
from tests.auditor.ledger import Ledger, Place
from tests.auditor.watching import Name

TRUST_STORE = "anchorline-trust"
LAST_SECOND = 1.0  # openssl counts whole seconds: a leaf in its last one is left alone


class Violation(Exception):
    """A promise is broken; the text says what, when and which."""


@dataclass(frozen=True)
class Seen:
    """When something was seen; it may be judged later, but as of then."""

    wall: float = field(default_factory=time.time)
    steady: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return datetime.fromtimestamp(self.wall, UTC).isoformat(timespec="milliseconds")


@dataclass
class Audit:
    """What was seen so far; `authority` limits it to one CA, `besides` leaves some out.

    `lag` is for how many seconds a peer may hold what it has read; `read_once` counts processes too that read their
    trust only when they started: what they hold is in force as long as all of its roots are trusted.
    """

    judge: Judge
    lag: float = 0.0
    read_once: bool = False
    authority: str = ""
    besides: frozenset[str] = frozenset()
    changes: int = 0
    tampered: int = 0
    expired: int = 0
    seen: Seen = field(default_factory=Seen)
    chains: Ledger[Chain] = field(init=False)
    stores: Ledger[Store] = field(init=False)
    _roots: dict[str, set[str]] = field(default_factory=dict)
    _asked: dict[str, set[str]] = field(default_factory=dict)
    _good: dict[tuple[str, str, bool], float] = field(default_factory=dict)
    _once: dict[str, tuple[Place, Store]] = field(default_factory=dict)
    _live: dict[Place, frozenset[str]] = field(default_factory=dict)
    _ending: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chains, self.stores = Ledger(self.lag), Ledger(self.lag)

    def take(self, seen: Seen, kind: str, name: Name, obj: Object | None) -> None:
        """Note a change as of when it was seen, and judge what it touches. Raises Violation."""
        self.changes += 1
        self.seen = seen
        try:
            if kind == "Namespace":
                self._namespace(name[1], obj)
            elif name[0] in self._ending:
                return
            elif kind == "ConfigMap":
                self._config_map(name, obj)
            else:
                self._secret(name, obj)
        except (ValueError, KeyError) as error:
            raise Violation(f"{kind} {'/'.join(name)} cannot be read: {error!r}") from error

    # --- what is seen

    def _namespace(self, name: str, obj: Object | None) -> None:
        value = ((obj or {}).get("metadata", {}).get("annotations") or {}).get("anchorline.dev/trust", "")
        self._asked[name] = {part.strip() for part in value.split(",")} - {""}
        self._ending.discard(name)
        if obj is not None and obj["metadata"].get("deletionTimestamp"):
            self._ending.add(name)
            self._leave_out(name)

    def _leave_out(self, namespace: str) -> None:
        """What is left in a namespace that is being deleted is nobody's: the cluster takes it when it gets to it."""
        for place, _ in [*self.chains.present(), *self.stores.present()]:
            if place[1] == namespace:
                self.chains.put(place, None, self.seen.steady)
                self.stores.put(place, None, self.seen.steady)

    def _config_map(self, name: Name, obj: Object | None) -> None:
        ours = obj is not None and facts.label(obj, "managed") == "true"
        if obj is None or not ours or not self._untouched(obj, "private-ca.crt", "ca-bundle.crt"):
            self._store(("ConfigMap", *name), None)
            return
        data = facts.entries(obj)
        store = facts.store(data["private-ca.crt"])
        missing = [part for part in facts.PEM.findall(store.roots) if part not in data["ca-bundle.crt"]]
        if missing:
            raise Violation(f"ConfigMap {'/'.join(name)}: a root of private-ca.crt is not in ca-bundle.crt")
        self._dropped(name[0], store)
        self._store(("ConfigMap", *name), store)

    def _secret(self, name: Name, obj: Object | None) -> None:
        place = ("Secret", *name)
        self._live.pop(place, None)
        if obj is not None and facts.label(obj, "role") in {"root", "retired"}:
            self._authority(place, obj)
        if obj is None or facts.label(obj, "role") != "leaf" or not self._wanted(facts.label(obj, "authority")):
            self._leaf(place, None, None)
        elif self._untouched(obj, "tls.crt", "tls.key", "ca.crt"):
            self._leaf(place, facts.chain(obj), facts.store(facts.entries(obj)["ca.crt"]))
        else:
            self._leaf(place, None, None)

    def _untouched(self, obj: Object, *keys: str) -> bool:
        touched = facts.tampered(obj, *keys)
        self.tampered += touched
        return not touched

    def _wanted(self, authority: str) -> bool:
        return authority not in self.besides and self.authority in {"", authority}

    def _authority(self, place: Place, obj: Object) -> None:
        """Remember which roots are a CA's; a store that turns out to be this CA's is judged from now on."""
        authority, roots = facts.label(obj, "authority"), facts.store(facts.entries(obj).get("tls.crt", b""))
        if facts.label(obj, "role") == "root":
            self._live[place] = roots.fingerprints
        if self._wanted(authority):
            self._learn(authority, roots.fingerprints)

    def _learn(self, authority: str, roots: frozenset[str]) -> None:
        if not roots <= self._roots.setdefault(authority, set()):
            self._roots[authority] |= roots
            self._judge_all()

    def _dropped(self, namespace: str, store: Store) -> None:
        """A namespace that still asks for a CA never loses all of its roots at once."""
        before = self.stores.at(("ConfigMap", namespace, TRUST_STORE))
        for authority in self._asked.get(namespace, set()) & set(self._roots):
            roots = self._roots[authority]
            if before is not None and before.fingerprints & roots and not store.fingerprints & roots:
                raise Violation(f"ConfigMap {namespace}/{TRUST_STORE} has lost every root of {authority}")

    # --- what is judged

    def _leaf(self, place: Place, chain: Chain | None, store: Store | None) -> None:
        if chain is not None and store is not None:
            self._learn(chain.authority, store.fingerprints)
        fresh = self.chains.put(place, chain, self.seen.steady)
        self._store(place, store)
        if chain is not None and fresh:
            for where, each in self._stores_of(chain):
                self._judge(place, chain, where, each)
            for where, each in self._held_by_old_processes(chain.authority):
                self._judge(place, chain, where, each, once=True)

    def _store(self, place: Place, store: Store | None) -> None:
        fresh = self.stores.put(place, store, self.seen.steady)
        if store is not None and fresh:
            self._judge_store(place, store)
        if store is not None and self.read_once:
            self._once[store.digest] = (place, store)

    def _judge_store(self, place: Place, store: Store) -> None:
        for where, chain in list(self.chains.in_force()):
            if store.fingerprints & self._roots.get(chain.authority, set()):
                self._judge(where, chain, place, store)

    def _judge_all(self) -> None:
        for place, store in list(self.stores.in_force()):
            self._judge_store(place, store)

    def _stores_of(self, chain: Chain) -> Iterator[tuple[Place, Store]]:
        roots = self._roots.get(chain.authority, set())
        yield from [each for each in self.stores.in_force() if each[1].fingerprints & roots]

    def _held_by_old_processes(self, authority: str) -> list[tuple[Place, Store]]:
        """Trust that was read once: of this CA alone, and with no root in it that is retired."""
        trusted = {each for roots in self._live.values() for each in roots}
        self._once = {digest: held for digest, held in self._once.items() if held[1].fingerprints <= trusted}
        roots = self._roots.get(authority, set())
        return [held for held in self._once.values() if held[1].fingerprints & roots]

    def _judge(self, where: Place, chain: Chain, place: Place, store: Store, *, once: bool = False) -> None:
        now, pair = self.seen.wall, (chain.digest, store.digest, once)
        if self._good.get(pair, 0.0) > now or now >= chain.not_after.timestamp() - LAST_SECOND:
            return
        said = self.judge.wrong(chain, store, now)
        if said:
            raise Violation(self._told(where, chain, place, store, said))
        if not once and chain.bare != chain.tail and (early := self.judge.wrong(chain, store, now, bare=True)):
            raise Violation("signed before the root was trusted: " + self._told(where, chain, place, store, early))
        ends = [each.timestamp() for each in (*store.ends, chain.tail_ends, chain.not_after)]
        self._good[pair] = min((end for end in ends if end > now), default=now)

    def _told(self, where: Place, chain: Chain, place: Place, store: Store, said: str) -> str:
        held = (
            "" if self.stores.at(place) == store and self.chains.at(where) == chain else f" (held up to {self.lag} s)"
        )
        return f"{'/'.join(where)} chain {chain.digest} against {'/'.join(place)} {store.digest}{held}: {said}"

    def passing(self) -> None:
        """What time alone does: contents are let go, certificates end. Raises Violation."""
        self.seen = Seen()
        now, monotonic = self.seen.wall, self.seen.steady
        self.chains.forget(monotonic)
        self.stores.forget(monotonic)
        for where, chain in list(self.chains.present()):
            if now >= chain.not_after.timestamp():
                self.expired += 1
                self.chains.put(where, None, monotonic)
            elif now >= chain.tail_ends.timestamp():
                raise Violation(
                    f"{'/'.join(where)} chain {chain.digest}: an expired certificate is served after the leaf"
                )
        if any(end <= now for end in self._good.values()):
            self._good = {pair: end for pair, end in self._good.items() if end > now}
            self._judge_all()

    def summary(self) -> str:
        """Counts, as one line."""
        return (
            f"{self.changes} changes, {self.judge.verifications} verifications, {self.tampered} tampered with,"
            f" {self.expired} expired"
        )
