"""One action after the other against the API server; what was written is in the caches at once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from anchorline.api import codec, naming
from anchorline.api.certificate import CertificateStatus
from anchorline.api.meta import ObjectKey
from anchorline.errors import ClusterError, NotReady, Reason
from anchorline.kube import entropy, objects, views
from anchorline.kube.events import Events
from anchorline.kube.resources import CERTIFICATES, CONFIG_MAPS, NAMESPACES, PRIVATE_CAS, SECRETS, Resource
from anchorline.kube.world import Name, World
from anchorline.pki import (
    Certificate,
    KeyEncoding,
    KeySpec,
    PrivateKey,
    cross_sign,
    self_sign_root,
    sign_intermediate,
    sign_leaf,
)
from anchorline.plan import actions
from anchorline.plan.actions import Action, Plan

_KINDS: dict[str, Resource] = {"PrivateCA": PRIVATE_CAS, "Certificate": CERTIFICATES}
_CONFLICT = 409
# What makes an object ours: an intermediate's Secret in the place of a leaf's is in the way as much as a stranger's.
_IDENTITY = (naming.MANAGED_LABEL, naming.ROLE_LABEL, naming.GENERATION_LABEL, naming.NUMBER_LABEL)


@dataclass
class Applier:
    """Carries out plans; `now` is asked for the time of events, `events` says them."""

    world: World
    now: Callable[[], datetime]
    events: Events
    issued: Callable[[str], None] = lambda _why: None
    store_changed: Callable[[str, str], None] = lambda _namespace, _content: None
    _annotating: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def apply(self, plan: Plan) -> None:
        """Carry out a plan in its order; the first failure ends it, since the order is what keeps the promises.

        Raises ClusterError when the API server refuses or is away, NotReady when something must be looked at again.
        """
        for action in plan.actions:
            await self.act(action)

    async def act(self, action: Action) -> None:  # noqa: C901 - one line for each action of the closed union
        """Carry out one action."""
        match action:
            case actions.CreateRoot():
                await self._create_root(action)
            case actions.RecordRoot():
                await self._create_secret(objects.recorded_root(self._namespace, action))
            case actions.CreateIntermediate():
                await self._create_intermediate(action)
            case actions.AnnotateAuthority():
                await self._annotate(action)
            case actions.RecordRetired():
                await self._create_secret(objects.retired_root(self._namespace, action))
            case actions.DeleteAuthority():
                await self._delete(SECRETS, self._namespace, action.secret)
            case actions.IssueLeaf():
                await self._issue(action)
            case actions.RewriteLeaf():
                await self._rewrite(action)
            case actions.PutTrustStore():
                await self._put_store(action)
            case actions.DeleteTrustStore():
                await self._delete(CONFIG_MAPS, action.namespace, naming.TRUST_STORE)
            case actions.LabelNamespace():
                await self._label(action)
            case actions.SetStatus():
                await self._set_status(action)
            case actions.Emit():
                await self.events.say(action, self.now())
            case _:
                assert_never(action)

    @property
    def _namespace(self) -> str:
        return self.world.surroundings.namespace

    async def _create_root(self, todo: actions.CreateRoot) -> None:
        key = await entropy.new_key(todo.key)
        certificate = self_sign_root(todo.profile, key, serial=entropy.new_serial())
        bridge = None
        if todo.bridge_from and todo.bridge_until is not None:
            bridge = cross_sign(
                certificate,
                self.world.issuer(todo.bridge_from),
                serial=entropy.new_serial(),
                not_before=certificate.not_before,
                not_after=todo.bridge_until,
            )
        await self._create_secret(objects.root(self._namespace, todo, certificate, key, bridge))

    async def _create_intermediate(self, todo: actions.CreateIntermediate) -> None:
        key = await entropy.new_key(todo.key)
        issuer = self.world.issuer(todo.root_secret)
        certificate = sign_intermediate(todo.profile, key.public_key_der, issuer, serial=entropy.new_serial())
        await self._create_secret(objects.intermediate(self._namespace, todo, certificate, key))

    async def _create_secret(self, obj: objects.Object) -> None:
        """Create only: a Secret that is already there is seen by the next look and never overwritten (P4)."""
        target = ObjectKey("Secret", self._namespace, obj["metadata"]["name"])
        self._remember_secret(obj, await self._create_or_refuse(SECRETS, target, obj))

    def _remember_secret(self, obj: objects.Object, written: dict[str, Any]) -> None:
        meta = obj["metadata"]
        meta["resourceVersion"], meta["uid"] = written["metadata"]["resourceVersion"], written["metadata"]["uid"]
        self.world.secrets.put(obj, meta["resourceVersion"])

    async def _annotate(self, todo: actions.AnnotateAuthority) -> None:
        """Change annotations, one after the other: thousands of Certificates may ask for the same horizon at once."""
        async with self._annotating:
            obj = await self.world.client.get(SECRETS, todo.secret, self._namespace)
            if (obj["metadata"].get("labels") or {}).get(naming.MANAGED_LABEL) != naming.MANAGED:
                raise NotReady(f"Secret {self._namespace}/{todo.secret} is not marked as Anchorline's any more")
            annotations = obj["metadata"].setdefault("annotations", {})
            if _further(annotations, todo):
                self.world.secrets.put(obj, obj["metadata"]["resourceVersion"])
                return
            annotations.update(todo.annotations)
            self._remember_secret(obj, await self.world.client.replace(SECRETS, obj))

    async def _delete(self, resource: Resource, namespace: str, name: str) -> None:
        cache = self.world.secrets if resource is SECRETS else self.world.stores
        if cache.get((namespace, name)) is None:
            return
        await self.world.client.delete(resource, name, namespace)
        cache.forget((namespace, name))

    async def _issue(self, todo: actions.IssueLeaf) -> None:
        key = await self._leaf_key(todo)
        issuer = self.world.issuer(todo.signer_secret)
        leaf = sign_leaf(todo.profile, key.public_key_der, issuer, serial=entropy.new_serial())
        pem = key.to_pem(KeyEncoding(str(todo.encoding)))
        await self._write_leaf(todo, leaf, key.spec, pem)
        self.issued(todo.why.split(":", 1)[0])

    async def _leaf_key(self, todo: actions.IssueLeaf) -> PrivateKey:
        if not todo.reuse_key:
            return await entropy.new_key(todo.key)
        obj = await self._current(todo.target, todo.replaces)
        return views.key_pair(obj)[1]

    async def _current(self, target: ObjectKey, resource_version: str) -> dict[str, Any]:
        obj = await self.world.client.get(SECRETS, target.name, target.namespace)
        if obj["metadata"]["resourceVersion"] != resource_version:
            raise ClusterError(f"{target} changed meanwhile", reason=Reason.CONFLICT, status=_CONFLICT)
        return obj

    async def _rewrite(self, todo: actions.RewriteLeaf) -> None:
        obj = await self._current(todo.target, todo.replaces)
        chain, key = views.key_pair(obj)
        if todo.keep_chain:
            todo = replace(todo, shape=replace(todo.shape, tail=chain[1:]))
        await self._write_leaf(todo, chain[0], key.spec, views.data(obj, naming.TLS_KEY))

    async def _write_leaf(
        self, todo: actions.IssueLeaf | actions.RewriteLeaf, leaf: Certificate, key: KeySpec, pem: bytes
    ) -> None:
        """Create or replace; the cache gets what is in it without parsing it again."""
        obj = objects.leaf(todo.target.namespace, todo.target.name, todo.shape, leaf, pem)
        if todo.replaces:
            obj["metadata"]["resourceVersion"] = todo.replaces
            written = await self.world.client.replace(SECRETS, obj, protobuf=True)
        else:
            written = await self._create_or_refuse(SECRETS, todo.target, obj)
        version = obj["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"]
        view = views.written_leaf(obj, (leaf, *todo.shape.tail), key, todo.shape.trust)
        self.world.secrets.put(view, version, key=(todo.target.namespace, todo.target.name))

    async def _create_or_refuse(self, resource: Resource, target: ObjectKey, obj: objects.Object) -> dict[str, Any]:
        """Create; what is already there and is not this object of ours is remembered as somebody else's (P10)."""
        try:
            return await self.world.client.create(resource, obj, protobuf=True)
        except ClusterError as error:
            if error.status != _CONFLICT:
                raise
        there = await self.world.client.find(resource, target.name, target.namespace, metadata_only=True)
        labels, wanted = (there or {}).get("metadata", {}).get("labels") or {}, obj["metadata"]["labels"]
        if there is not None and any(labels.get(name) != wanted.get(name) for name in _IDENTITY):
            self.world.foreign.add(target)
        raise NotReady(f"{target} appeared meanwhile")

    async def _put_store(self, todo: actions.PutTrustStore) -> None:
        public = self.world.public if todo.public else None
        obj = objects.trust_store(todo.namespace, todo.private, public, todo.formats)
        target = ObjectKey("ConfigMap", todo.namespace, naming.TRUST_STORE)
        if todo.replaces:
            obj["metadata"]["resourceVersion"] = todo.replaces
            written = await self.world.client.replace(CONFIG_MAPS, obj, protobuf=True)
        else:
            written = await self._create_or_refuse(CONFIG_MAPS, target, obj)
        version = written["metadata"]["resourceVersion"]
        view = views.written_store(version, todo.private, public.digest if public else "", todo.formats)
        self.world.stores.put(view, version, key=(todo.namespace, naming.TRUST_STORE))
        if todo.replaces:
            self.store_changed(todo.namespace, todo.private.digest)

    async def _label(self, todo: actions.LabelNamespace) -> None:
        if todo.enabled:
            metadata = {"name": todo.namespace, "labels": {naming.TRUST: naming.trust_label(todo.formats)}}
            obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            written = await self.world.client.apply(NAMESPACES, obj)
        else:
            # Server-side apply takes back only what was applied by us; this label may be somebody else's work.
            patch = {"metadata": {"labels": {naming.TRUST: None}}}
            written = await self.world.client.merge_patch(NAMESPACES, todo.namespace, "", patch)
        self.world.namespaces.put(written, written["metadata"]["resourceVersion"])

    async def _set_status(self, todo: actions.SetStatus) -> None:
        resource = _KINDS[todo.target.kind]
        metadata = {"name": todo.target.name}
        if todo.target.namespace:
            metadata["namespace"] = todo.target.namespace
        obj = {"metadata": metadata, "status": codec.encode(todo.status)}
        if todo.replaces:
            # The server takes nothing but the status from it (a spec need not be there), and need not merge it.
            metadata["resourceVersion"] = todo.replaces
            written = await self.world.client.replace(resource, obj, subresource="status")
        else:
            written = await self.world.client.apply(resource, obj, subresource="status")
        if isinstance(todo.status, CertificateStatus):
            self._remember_certificate((todo.target.namespace, todo.target.name), todo.status, written)
        elif (known := self.world.cas.get(todo.target.name)) is not None:
            # What a status remembers keeps roots in trust stores (P4): the next plan must not wait for its event.
            self.world.cas[todo.target.name] = replace(known, status=todo.status)

    def _remember_certificate(self, name: Name, status: CertificateStatus, written: dict[str, Any]) -> None:
        """The plan that wrote a status knows it; somebody's new spec may be in the answer all the same."""
        certificates, meta = self.world.certificates, codec.decode_metadata(written["metadata"])
        known = certificates.get(name)
        if known is None or known.metadata.generation != meta.generation:
            certificates.put(written, meta.resource_version)
            return
        certificates.put(replace(known, metadata=meta, status=status), meta.resource_version, key=name, notify=False)


def _further(annotations: Mapping[str, str], todo: actions.AnnotateAuthority) -> bool:
    """Whether the horizon is already as far as is asked for; it only ever moves away (RFC 3339 sorts as text)."""
    wanted = dict(todo.annotations).get(naming.ISSUED_UNTIL_ANNOTATION)
    return wanted is not None and annotations.get(naming.ISSUED_UNTIL_ANNOTATION, "") >= wanted
