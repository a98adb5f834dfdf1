"""A cluster in which roots are replaced: the simulation with clocks, the operator's real gates, and its processes.

Everything that anybody may ever have read or been served is noted after every single action; `rotation_model` judges.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.support.builders import OPERATOR_NAMESPACE
from tests.support.clients import Chain, Pod, Processes, Served
from tests.support.rotation_model_caches import Watched, finished
from tests.support.simulation import World

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.kube import views
from anchorline.kube.gates import Gates
from anchorline.plan import actions, rotation_start
from anchorline.plan.actions import Action
from anchorline.plan.authority import AT_ONCE, is_compromise, lost, trouble
from anchorline.plan.upkeep import chain_digest
from anchorline.plan.world import LeafSecret, RotationSeen, StoreSeen

CLOCK_ERROR = timedelta(hours=1)


class Broken(AssertionError):
    """A promise was broken."""


def demand(kept: object, promise: str, text: str) -> None:
    """A promise is kept."""
    if not kept:
        raise Broken(f"{promise}: {text}")


@dataclass(frozen=True)
class Root:
    """A root that was ever made: its Secret's words, which stay true when the Secret is gone."""

    ca: str
    generation: int
    certificate: pki.Certificate
    bridge: pki.Certificate | None
    cause: str
    brought: bool


@dataclass
class NotedWorld(World):
    """A cluster, its operator, and everything that reads trust or serves a chain in it.

    `clock` does not jump. `condemned` is the generation of a CA before which no root may be trusted; `hasty` are CAs of
    which one was condemned at once.
    """

    clock: float = 0.0
    processes: Processes = field(default_factory=Processes)
    roots: dict[str, Root] = field(default_factory=dict)
    condemned: dict[str, int] = field(default_factory=dict)
    hasty: set[str] = field(default_factory=set)
    impatient: set[str] = field(default_factory=set)
    dated: bool = True

    def __post_init__(self) -> None:
        """Begin to watch."""
        self.watch = self._after
        self.watched = Watched(self)
        self.gates = Gates(self.watched, monotonic=lambda: self.clock)

    # ---- what the operator sees besides

    def restart(self) -> None:
        """A fresh process: what the gates saw is forgotten."""
        super().restart()
        self.watched = Watched(self)
        self.gates = Gates(self.watched, monotonic=lambda: self.clock)

    def rotation_seen(self, ca: PrivateCA) -> RotationSeen:
        """What the operator's own gates say."""
        self.watched.feed()
        return finished(self.gates.rotation(ca, self.material(ca.metadata.name), self.asking(ca), self.now))

    # ---- time and processes

    def later(self, time: timedelta) -> None:
        """Let time pass by both clocks."""
        self.now += time
        self.clock += time.total_seconds()
        self.processes.forget_ended(self.now)

    def clocks_behind(self, *, behind: bool) -> None:
        """All wall clocks of the cluster are set back by an hour, or are right again."""
        self.now += -CLOCK_ERROR if behind else CLOCK_ERROR
        self.dated = not behind

    def happened(self, *, honest: bool = True) -> None:
        """Somebody else did something: everybody may read it from now on."""
        self.watched.feed()
        self._note_stores(honest=honest)
        self._note_leaves(honest=honest)
        for ca in self.private_cas():
            self.impatient |= set() if ca.spec.rotation.wait_for_pods else {ca.metadata.name}
        self._note_pods()

    def start_pod(self, name: str, space: str) -> None:
        """A process that reads its trust once, now, with the lag that a mounted file may have."""
        self.run_pod(name, space)
        if any(pod["metadata"]["name"] == name for pod in self.injected(space)):
            trusts = tuple(dict.fromkeys(self.processes.store(space).readable(self.clock)))
            self.processes.pods[name] = Pod(name=name, space=space, trusts=trusts)

    def end_pod(self, name: str) -> None:
        """It stops."""
        pod = self.processes.pods.pop(name)
        self.delete("Pod", name, pod.space)

    # ---- what is noted

    def _after(self, action: Action) -> None:
        if isinstance(action, actions.CreateRoot | actions.RecordRoot):
            self._note_root(action)
        self.happened()

    def _note_root(self, action: actions.CreateRoot | actions.RecordRoot) -> None:
        view = self.view(self.api.get(ObjectKey("Secret", OPERATOR_NAMESPACE, action.secret)), views.authority_secret)
        brought = isinstance(action, actions.RecordRoot)
        made = Root(action.authority, action.generation, view.chain[0], view.bridge, action.cause, brought)
        same = [each for each in self.roots.values() if each.ca == made.ca and each.cause == made.cause]
        asked = made.cause.startswith((rotation_start.ROTATED, "compromised"))
        demand(not (asked and same), "the same reason never rotates twice", made.cause)
        self.roots[made.certificate.fingerprint] = made
        if is_compromise(made.cause):
            self.condemned[made.ca] = made.generation
            self.hasty |= {made.ca} if made.cause.startswith(AT_ONCE) else set()

    def _note_stores(self, *, honest: bool) -> None:
        """A store that is written while a Secret of a CA is gone may lack that root: a person mends that (P4)."""
        honest = honest and not any(self.stopped(ca.metadata.name) for ca in self.private_cas())
        for obj in self.api.list("Namespace"):
            store = self.store(obj["metadata"]["name"])
            content = store.private if isinstance(store, StoreSeen) else None
            self.processes.store(obj["metadata"]["name"]).put(self.clock, content, honest=honest)

    def _note_leaves(self, *, honest: bool) -> None:
        files = self.processes
        there = {(key.namespace, key.name): view for key, view in self.secrets() if isinstance(view, LeafSecret)}
        for name in there.keys() | files.chains.keys():
            view = there.get(name)
            served, beside = self._served(name) if view is not None and not view.problem else (None, None)
            files.chains.setdefault(name, type(files.store(""))()).put(self.clock, served, honest=honest)
            files.beside.setdefault(name, type(files.store(""))()).put(self.clock, beside, honest=honest)
            if served is not None and honest:
                files.ever[served.digest] = served

    def _served(self, name: tuple[str, str]) -> tuple[Served | None, pki.TrustBundle]:
        obj = self.api.objects[ObjectKey("Secret", *name)]
        chain, trust = self.view(obj, _chain_and_trust)
        root = self.root_of(chain)
        if root is None:
            return None, trust
        return Served(
            ca=root.ca, generation=root.generation, chain=chain, digest=chain_digest(chain[0], chain[1:])
        ), trust

    def root_of(self, chain: Chain) -> Root | None:
        """The root that a chain is under, without its bridge."""
        for each in chain[1:]:
            for root in self.roots.values():
                certificate = root.certificate
                if (
                    each.authority_key_id == certificate.key_id
                    and each.issuer == certificate.subject
                    and (each.key_id not in {other.certificate.key_id for other in self.roots.values()})
                ):
                    return root
        return None

    def _note_pods(self) -> None:
        """A namespace that no longer asks is no longer counted: pods of it are on their own from then on."""
        asking = {each.name for ca in self.private_cas() for each in self.asking(ca)}
        self.processes.pods = {name: pod for name, pod in self.processes.pods.items() if pod.space in asking}

    def stopped(self, name: str) -> bool:
        """Whether this CA waits for a person (P4)."""
        ca, material = self.private_ca(name), self.material(name)
        return trouble(material) is not None or (ca is not None and lost(ca, material) is not None)

    def untold(self) -> set[str]:
        """Secrets of roots and of records of which no status tells: they are new, or an old status came back."""
        secrets: set[str] = set()
        for ca in self.private_cas():
            told, material = {each.number for each in ca.status.generations}, self.material(ca.metadata.name)
            secrets |= {each.secret for each in (*material.roots, *material.retired) if each.generation not in told}
        return secrets


def _chain_and_trust(obj: dict[str, Any]) -> tuple[Chain, pki.TrustBundle]:
    return views.key_pair(obj)[0], views.shared_bundle(views.data(obj, naming.CA_CERT))
