"""The operator at work on a cluster in memory: plans made as in `shell.reconcile`, carried out one action at a time.

Signatures are real; keys and serial numbers come from a counter, so that every run is the same. After a crash nothing
is lost but what a process keeps in its head, since nothing is kept there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self, assert_never

from tests.support import certificates
from tests.support.apiserver import Object, Refused
from tests.support.builders import OPERATOR_NAMESPACE, as_json
from tests.support.observed import Cluster, public_roots

from anchorline import pki
from anchorline.api import codec, naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import objects, views
from anchorline.plan import actions
from anchorline.plan.actions import Action, Emit, Plan
from anchorline.plan.authority_plan import authority, orphaned
from anchorline.plan.certificate import certificate
from anchorline.plan.trust import namespace
from anchorline.plan.world import LeafSecret, StoreSeen

# An operator that was away while two roots came to their ends makes up for it in a dozen rounds on one key.
ROUNDS, PASSES = 20, 30
PLANNED = ("PrivateCA", "Certificate", "Namespace")


class Crashed(Exception):
    """The operator died after an action."""


@dataclass
class World(Cluster):
    """A cluster with an operator.

    `watch` is called after every single action: the place for invariants. `events` are those that were said, each
    once. `made` names every authority Secret that was ever created, with its certificate.
    """

    watch: Callable[[Action], object] = lambda _action: None
    events: list[Emit] = field(default_factory=list)
    made: dict[str, pki.Certificate] = field(default_factory=dict)
    said: set[tuple[ObjectKey, str, str]] = field(default_factory=set)
    count: int = 1000

    # ---- deciding

    def keys(self) -> tuple[ObjectKey, ...]:
        """Everything that there is a plan for, PrivateCAs that are gone and left Secrets behind among them."""
        there = tuple(key for key in self.api.objects if key.kind in PLANNED)
        left = {
            ObjectKey("PrivateCA", "", view.authority): None
            for _, view in self.secrets(OPERATOR_NAMESPACE)
            if isinstance(view, views.AuthoritySecret)
        }
        return tuple(dict.fromkeys((*sorted(there, key=lambda key: -PLANNED.index(key.kind)), *left)))

    def plan(self, key: ObjectKey) -> Plan:
        """What should be done now for one object."""
        match key.kind:
            case "PrivateCA":
                authority_seen = self.observe_private_ca(key.name)
                return authority(authority_seen, self.now) if authority_seen else self._orphans(key.name)
            case "Certificate":
                certificate_seen = self.observe_certificate(key.namespace, key.name)
                return certificate(certificate_seen, self.now) if certificate_seen else Plan()
            case _:
                trust_seen = self.observe_namespace(key.name)
                return namespace(trust_seen, self.now) if trust_seen else Plan()

    def _orphans(self, name: str) -> Plan:
        material = self.material(name)
        retired = tuple(each.secret for each in material.retired)
        return orphaned(material.roots, material.intermediates, retired)

    def todo(self, key: ObjectKey) -> Plan:
        """A plan without the events that were said before: those are not said again."""
        plan = self.plan(key)
        return replace(plan, actions=tuple(each for each in plan.actions if not self._was_said(each)))

    def _was_said(self, action: Action) -> bool:
        return isinstance(action, Emit) and (action.about, action.reason, action.note) in self.said

    # ---- working

    def reconcile(self, key: ObjectKey, *, crash_after: int | None = None, done_all_the_same: bool = False) -> Plan:
        """Work on one key until there is nothing left to do for it; the last plan, which says when to look again.

        Raises Crashed after so many actions, or after one more whose answer is lost; Refused when the API server says
        no.
        """
        done = 0
        for _ in range(ROUNDS):
            plan = self.todo(key)
            for action in plan.actions:
                if done == crash_after:
                    if done_all_the_same:
                        self.step(action)
                    raise Crashed(str(action))
                self.step(action)
                done += 1
            if not plan.again:
                return plan
        raise AssertionError(f"{key} does not settle:\n{self.todo(key)}")

    def settle(self, now: datetime | None = None) -> Self:
        """Go on until no plan has anything left to do; itself, for chaining."""
        self.now = now or self.now
        for _ in range(PASSES):
            before = len(self.api.writes), len(self.events)
            for key in self.keys():
                self.reconcile(key)
            if before == (len(self.api.writes), len(self.events)):
                return self
        raise AssertionError("the world does not settle:\n" + self.printed())

    def restart(self) -> None:
        """A fresh process: what was read is read anew."""
        self.views_kept.clear()

    def plans(self) -> dict[ObjectKey, Plan]:
        """Everything that is left to do."""
        return {key: plan for key in self.keys() if (plan := self.todo(key))}

    def printed(self) -> str:
        """Everything that is left to do, for people."""
        return "\n".join(f"# {key}\n{plan}" for key, plan in self.plans().items())

    def crashed(self, key: ObjectKey, after: int) -> bool:
        """Work on one key and die after so many actions; whether that many were there to die after."""
        try:
            self.reconcile(key, crash_after=after)
        except Crashed:
            self.restart()
            return True
        return False

    def failed(self, key: ObjectKey, after: int, *, done_all_the_same: bool) -> bool:
        """Work on one key until the API server answers with an error, or not in time; the process lives on."""
        try:
            self.reconcile(key, crash_after=after, done_all_the_same=done_all_the_same)
        except Crashed:
            return True
        return False

    # ---- acting

    def step(self, action: Action) -> None:  # noqa: C901 - one line for each action of the closed union
        """Carry out one action; Refused when the API server says no."""
        match action:
            case actions.CreateRoot():
                self._create_root(action)
            case actions.RecordRoot():
                self._create_authority(objects.recorded_root(OPERATOR_NAMESPACE, action))
            case actions.CreateIntermediate():
                self._create_intermediate(action)
            case actions.AnnotateAuthority():
                self._annotate_authority(action)
            case actions.RecordRetired():
                self._create_authority(objects.retired_root(OPERATOR_NAMESPACE, action))
            case actions.DeleteAuthority():
                self._delete_authority(action)
            case actions.IssueLeaf():
                self._issue(action)
            case actions.RewriteLeaf():
                self._rewrite(action)
            case actions.PutTrustStore():
                self._put_store(action)
            case actions.DeleteTrustStore():
                self.delete("ConfigMap", naming.TRUST_STORE, action.namespace)
            case actions.LabelNamespace():
                self._label(action)
            case actions.SetStatus():
                self._set_status(action)
            case actions.Emit():
                self._emit(action)
            case _:
                assert_never(action)
        self.watch(action)

    def serial(self) -> int:
        """The next number, for serials and keys."""
        self.count += 1
        return self.count

    def new_key(self, spec: pki.KeySpec) -> pki.PrivateKey:
        """The next key; RSA keys are slow to make and are one and the same."""
        if spec.algorithm is pki.KeyAlgorithm.RSA:
            return certificates.rsa_key()
        if spec.algorithm is pki.KeyAlgorithm.ED25519:
            return certificates.ed25519_key(self.serial())
        return certificates.ec_key(self.serial(), spec.size)

    def issuer(self, secret: str) -> pki.Issuer:
        """Certificate and key of an authority Secret, or of the Secret that a user brought."""
        view = self.view(self.api.get(ObjectKey("Secret", OPERATOR_NAMESPACE, secret)), views.secret_view)
        if isinstance(view, views.AuthoritySecret) and view.key is not None:
            return pki.Issuer(view.chain[0], view.key)
        for brought in filter(None, map(self.brought, self.private_cas())):
            recorded = view is not None and view.certificate == brought.chain[0]
            if brought.key is not None and (recorded or brought.name == secret):
                return pki.Issuer(brought.chain[0], brought.key)
        raise Refused(0, f"Secret {secret} has no key that can sign")

    def _create_authority(self, obj: Object) -> None:
        name = obj["metadata"]["name"]
        created = self.api.create(obj, self.now)
        # The first certificate under a name stays the only one (P4).
        have = self.view(created, views.authority_secret).certificate
        assert self.made.setdefault(name, have) == have, f"Secret {name} was made twice"

    def _create_root(self, todo: actions.CreateRoot) -> None:
        key = self.new_key(todo.key)
        root, bridge = pki.self_sign_root(todo.profile, key, serial=self.serial()), None
        if todo.bridge_from and todo.bridge_until is not None:
            bridge = pki.cross_sign(
                root,
                self.issuer(todo.bridge_from),
                serial=self.serial(),
                not_before=root.not_before,
                not_after=todo.bridge_until,
            )
        self._create_authority(objects.root(OPERATOR_NAMESPACE, todo, root, key, bridge))

    def _create_intermediate(self, todo: actions.CreateIntermediate) -> None:
        key, issuer = self.new_key(todo.key), self.issuer(todo.root_secret)
        made = pki.sign_intermediate(todo.profile, key.public_key_der, issuer, serial=self.serial())
        self._create_authority(objects.intermediate(OPERATOR_NAMESPACE, todo, made, key))

    def _delete_authority(self, todo: actions.DeleteAuthority) -> None:
        key = ObjectKey("Secret", OPERATOR_NAMESPACE, todo.secret)
        view = self.view(self.api.get(key), views.authority_secret)
        self.api.delete(key)
        if self.private_ca(view.authority) is None:
            del self.made[todo.secret]  # a CA that comes back under this name is another one

    def _annotate_authority(self, todo: actions.AnnotateAuthority) -> None:
        obj = self.api.get(ObjectKey("Secret", OPERATOR_NAMESPACE, todo.secret))
        obj["metadata"].setdefault("annotations", {}).update(todo.annotations)
        self.api.replace(obj)

    def _issue(self, todo: actions.IssueLeaf) -> None:
        key = views.key_pair(self.api.get(todo.target))[1] if todo.reuse_key else self.new_key(todo.key)
        leaf = pki.sign_leaf(todo.profile, key.public_key_der, self.issuer(todo.signer_secret), serial=self.serial())
        pem = key.to_pem(pki.KeyEncoding(str(todo.encoding)))
        new = objects.leaf(todo.target.namespace, todo.target.name, todo.shape, leaf, pem)
        self._write(as_json(new), todo.replaces)

    def _rewrite(self, todo: actions.RewriteLeaf) -> None:
        old = self.api.get(todo.target)
        chain, _ = views.key_pair(old)
        pem = views.data(old, naming.TLS_KEY)
        shape = replace(todo.shape, tail=chain[1:]) if todo.keep_chain else todo.shape
        new = objects.leaf(todo.target.namespace, todo.target.name, shape, chain[0], pem)
        self._write(as_json(new), todo.replaces)

    def _write(self, obj: Object, replaces: str) -> None:
        obj["metadata"]["resourceVersion"] = replaces
        self.api.replace(obj) if replaces else self.api.create(obj, self.now)

    def _set_status(self, todo: actions.SetStatus) -> None:
        there = self.api.get(todo.target)
        applied = todo.target.kind == "PrivateCA"
        version = there["metadata"]["resourceVersion"] if applied else todo.replaces
        metadata = {**there["metadata"], "resourceVersion": version}
        self.api.replace({**there, "metadata": metadata, "status": codec.encode(todo.status)})

    def _put_store(self, todo: actions.PutTrustStore) -> None:
        obj = objects.trust_store(todo.namespace, todo.private, public_roots() if todo.public else None, todo.formats)
        self._write(obj, todo.replaces)

    def _label(self, todo: actions.LabelNamespace) -> None:
        def change(obj: Object) -> None:
            labels = obj["metadata"].setdefault("labels", {})
            labels.pop(naming.TRUST, None)
            labels |= {naming.TRUST: naming.trust_label(todo.formats)} if todo.enabled else {}

        self.api.edit(ObjectKey("Namespace", "", todo.namespace), change)

    def _emit(self, todo: Emit) -> None:
        if not self._was_said(todo):
            self.said.add((todo.about, todo.reason, todo.note))
            self.events.append(todo)

    # ---- judging

    def leaves(self) -> dict[ObjectKey, tuple[str, tuple[pki.Certificate, ...], pki.TrustBundle]]:
        """Every leaf that is valid now: its CA's name, the chain that is served, and the roots beside it."""
        return {
            key: served
            for key, view in self.secrets()
            if isinstance(view, LeafSecret) and not view.problem
            if (served := _served(self.api.objects[key]))[1][0].valid_at(self.now)
        }

    def condition(self, key: ObjectKey, kind: str = "Ready") -> Object:
        """A condition of one of our own objects, as users read it."""
        conditions = self.api.get(key).get("status", {}).get("conditions", ())
        found: Object = next((each for each in conditions if each["type"] == kind), {})
        return found

    def failures(self) -> list[str]:
        """Live leaves that do not verify under their own ca.crt, or a trust store that has roots of their CA (P2)."""
        found: list[str] = []
        for key, (name, chain, beside) in self.leaves().items():
            for where, roots in {"its ca.crt": beside, **self._stores_with(name)}.items():
                found += [f"{key} under {where}: {why}" for why in self._faults(chain, roots)]
        return found

    def verify_all(self) -> None:
        """Every live leaf verifies everywhere where it should (P2), and none outlives its chain (P3)."""
        assert not self.failures()
        for key, (_, chain, _) in self.leaves().items():
            assert chain[0].not_after <= min(each.not_after for each in chain), f"{key} outlives its chain"

    def _stores_with(self, name: str) -> dict[str, pki.TrustBundle]:
        """Trust stores of namespaces that ask for a CA, once they have any root that was ever its own."""
        ca = self.private_ca(name)
        ever = {made for secret, made in self.made.items() if secret.startswith(f"{name}-r") and made.is_self_signed}
        stores = {each.name: self.store(each.name) for each in self.asking(ca)} if ca else {}
        return {
            f"the trust store of {space}": store.private
            for space, store in stores.items()
            if isinstance(store, StoreSeen) and ever & set(store.private)
        }

    def _faults(self, chain: tuple[pki.Certificate, ...], roots: pki.TrustBundle) -> tuple[str, ...]:
        try:
            pki.verify_chain(chain, roots, now=self.now, purpose=None)
        except pki.ChainError as error:
            return (error.message,)
        return ()


def settled(*given: Object) -> World:
    """A world of these objects in which nothing is left to do."""
    world = World()
    world.put(*given)
    return world.settle()


def _served(obj: Object) -> tuple[str, tuple[pki.Certificate, ...], pki.TrustBundle]:
    chain, _ = views.key_pair(obj)
    labels: dict[str, Any] = obj["metadata"]["labels"]
    return labels.get(naming.AUTHORITY_LABEL, ""), chain, views.shared_bundle(views.data(obj, naming.CA_CERT))
