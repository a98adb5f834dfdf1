"""The judge of a cluster in which roots are replaced.

`RotationWorld` judges after every single action; a broken promise is a `Broken` whose message begins with its name.
What is exempt is said where it is exempted, and nowhere else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.clients import LAG, Chain, Served, Verifier
from tests.support.rotation_model_notes import NotedWorld, Root, demand

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase, PrivateCA
from anchorline.kube import views
from anchorline.plan import actions
from anchorline.plan.actions import Action
from anchorline.plan.authority import AT_ONCE, BRIDGE_MARGIN, COMPROMISED
from anchorline.plan.world import LeafSecret


@dataclass
class RotationWorld(NotedWorld):
    """A cluster whose every action is judged."""

    verifier: Verifier = field(default_factory=Verifier)

    def _after(self, action: Action) -> None:
        super()._after(action)
        self._judge_action(action)
        self.judge()

    # ---- judging an action

    def _judge_action(self, action: Action) -> None:
        match action:
            case actions.AnnotateAuthority() if (naming.PHASE_ANNOTATION, str(Phase.ACTIVE)) in action.annotations:
                self._judge_activation(action.secret)
            case actions.IssueLeaf():
                self._judge_issue(action)
            case actions.RewriteLeaf():
                self._judge_tail(action.shape.tail)
            case _:
                pass

    def _judge_activation(self, secret: str) -> None:
        """P1: a root begins to sign when no file that anybody may still be reading lacks it, by whomever written."""
        certificate = self.made[secret]
        ca = self.private_ca(self.roots[certificate.fingerprint].ca)
        assert ca is not None
        if self._last_call(ca, [root.certificate for root in self.roots.values() if root.certificate != certificate]):
            return
        for each in self.asking(ca):
            for trust in self.processes.store(each.name).readable(self.clock, honest=False):
                demand(certificate in trust, "P1", f"{secret} signs before the trust store of {each.name} has it")
        for name in self.live(ca.metadata.name):
            for trust in self.processes.beside[name].readable(self.clock):
                demand(certificate in trust, "P1", f"{secret} signs before ca.crt of {name} has it")

    def _last_call(self, ca: PrivateCA, trusted: Iterable[pki.Certificate]) -> bool:
        """Whether none of a CA's roots among these lasts long enough that waiting would help anybody."""
        mine = [
            each for each in trusted if (known := self.roots.get(each.fingerprint)) and known.ca == ca.metadata.name
        ]
        return all(self.now >= each.not_after - ca.spec.rotation.propagation for each in mine)

    def live(self, ca: str) -> Iterator[tuple[str, str]]:
        """Secrets of Certificates that live, which hold what this CA issued for them."""
        for resource in self.certificates():
            name = resource.metadata.namespace, resource.spec.secret_name
            found = self.api.objects.get(ObjectKey("Secret", *name))
            leaf = self.view(found, views.secret_view) if found is not None else None
            mine = isinstance(leaf, LeafSecret) and leaf.certificate_name == resource.metadata.name
            if mine and not leaf.problem and (served := self._served(name)[0]) is not None and served.ca == ca:
                yield name

    def certificate_of(self, name: tuple[str, str]) -> str:
        """The Certificate whose Secret this is."""
        view = self.view(self.api.objects[ObjectKey("Secret", *name)], views.leaf_secret)
        return view.certificate_name

    def _judge_issue(self, action: actions.IssueLeaf) -> None:
        name = action.target.namespace, action.target.name
        served, _ = self._served(name)
        demand(served, "P2", f"{name} was issued under an unknown root")
        assert served is not None
        root = self._root(served)
        leaf, issuer = served.chain[:2]
        kept = leaf.not_after <= issuer.not_after <= root.certificate.not_after
        demand(kept, "P3", f"{name} ends at {leaf.not_after}, its issuer at {issuer.not_after}")
        self._judge_tail(action.shape.tail)
        first = min(each.generation for each in self.roots.values() if each.ca == root.ca) == root.generation
        if first or root.cause.startswith(AT_ONCE):
            return
        ca = self.private_ca(root.ca)
        assert ca is not None
        for space in self.asking(ca):
            for trust in self.processes.store(space.name).readable(self.clock):
                known = root.certificate in trust or not self._of(root.ca, trust) or self._last_call(ca, trust)
                demand(known, "P1", f"{name} is issued under generation {root.generation} before {space.name} has it")

    def _judge_tail(self, tail: Chain) -> None:
        roots = {each.certificate.key_id for each in self.roots.values()}
        for each in tail:
            expired = each.key_id in roots and each.not_after < self.now + LAG
            demand(not expired, "an expired bridge is never served", f"it ends at {each.not_after}")

    # ---- judging every client with every server

    def judge(self) -> None:
        """P2: every client that may be there verifies every chain that may be served.

        Not while clocks are behind: what was issued an hour ago has not begun then, whatever anybody does.
        """
        if not self.dated:
            return
        now_served = {each.digest: each for each in self.processes.serving(self.clock)}
        clients = {ca.metadata.name: tuple(dict.fromkeys(self._clients(ca))) for ca in self.private_cas()}
        for served in {**self.processes.ever, **now_served}.values():
            current = served.digest in now_served
            if not served.chain[0].valid_at(self.now) or self._given_up(served, current=current):
                continue
            for who, trust, once in clients.get(served.ca, ()):
                if not self._must(served, trust) or (once and self._excused(served, trust)):
                    continue
                fault = self.verifier.fault(served, trust, self.now)
                where = f"{'' if current else 'once '}served {served.chain[0].names.dns[0]}"
                demand(not fault, "P2", f"{who} refuses generation {served.generation} {where}: {fault}")

    def _given_up(self, served: Served, *, current: bool) -> bool:
        """A condemned root's chains: at once, or as soon as no Secret of a live Certificate held them lately."""
        if served.generation >= self.condemned.get(served.ca, 0):
            return False
        return served.ca in self.hasty or not current or not self._alive(served)

    def _alive(self, served: Served) -> bool:
        names = [name for name, each in self.processes.chains.items() if served in each.readable(self.clock)]
        return bool(set(names) & set(self.live(served.ca)))

    def _clients(self, ca: PrivateCA) -> Iterator[tuple[str, pki.TrustBundle, bool]]:
        """Everything that a client of this CA may trust now, and whether it read that once.

        Whoever holds none of its roots yet did not ask in time.
        """
        asking = {each.name for each in self.asking(ca)}
        found = [(f"a client in {each}", self.processes.store(each).readable(self.clock), False) for each in asking]
        beside = ((name, self.processes.beside[name].readable(self.clock)) for name in self.live(ca.metadata.name))
        found += [(f"a peer with ca.crt of {name}", trusts, False) for name, trusts in beside]
        pods = (pod for pod in self.processes.pods.values() if pod.space in asking)
        found += [(f"pod {pod.name}, which read once,", list(pod.trusts), True) for pod in pods]
        for who, trusts, once in found:
            yield from ((who, trust, once) for trust in trusts if self._of(ca.metadata.name, trust))

    def _must(self, served: Served, trust: pki.TrustBundle) -> bool:
        """Whether this trust is one that should do.

        `--now` cuts off whoever has not reread; the end of a root whoever could not be given the next one in time.
        """
        ca = self.private_ca(served.ca)
        known = self._root(served).certificate in trust
        return known or (served.ca not in self.hasty and not (ca is not None and self._last_call(ca, trust)))

    def _excused(self, served: Served, trust: pki.TrustBundle) -> bool:
        """Read-once processes that nobody promised anything.

        No waitForPods; a root that gets no bridge, condemned or brought; a bridge, or what they trust, near its end;
        nothing in their trust but what was condemned since; a new root that has come to be replaced itself.
        """
        root = self._root(served)
        if root.certificate in trust:
            return False
        life = root.certificate.not_after - root.certificate.not_before
        if self.now >= root.certificate.not_after - life / 5:
            return True
        if served.ca in self.impatient or root.brought or root.cause.startswith((COMPROMISED, AT_ONCE)):
            return True
        known = [self.roots[each.fingerprint] for each in trust if each.fingerprint in self.roots]
        mine = [each for each in known if each.ca == served.ca]
        if all(each.generation < self.condemned.get(served.ca, 0) for each in mine):
            return True
        ends = [root.bridge.not_after] if root.bridge is not None else [each.certificate.not_after for each in mine]
        return self.now >= max(ends) - BRIDGE_MARGIN - LAG

    def _of(self, ca: str, trust: pki.TrustBundle) -> bool:
        found = (self.roots.get(each.fingerprint) for each in trust)
        return any(root is not None and root.ca == ca for root in found)

    def _root(self, served: Served) -> Root:
        mine = [each for each in self.roots.values() if (each.ca, each.generation) == (served.ca, served.generation)]
        return next(each for each in mine if served.chain[-1] == each.bridge or self.root_of(served.chain) == each)
