"""A cluster in memory, what users do to it, and what the operator sees of it.

What is seen goes through the operator's own projections (`kube.views`, `kube.material`); how it acts is in
`simulation`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from tests.support import certificates
from tests.support.apiserver import ApiServer, Object, key_of
from tests.support.builders import OPERATOR_NAMESPACE, a_pod

from anchorline import pki
from anchorline.api import codec, naming
from anchorline.api.certificate import Certificate
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA, RootSource
from anchorline.kube import objects, views
from anchorline.kube.material import BroughtSecret, brought_secret, material_of
from anchorline.kube.public_roots import PublicRoots
from anchorline.plan import policy
from anchorline.plan.authority import authority_of, lost, trouble, trust_of
from anchorline.plan.trust import counted
from anchorline.plan.world import (
    Authority,
    AuthoritySeen,
    CertificateSeen,
    ForeignObject,
    LeafSecret,
    Material,
    NamespaceSeen,
    RotationSeen,
    StoreCount,
    StoreSeen,
    TrustedCA,
    TrustSeen,
)

T = TypeVar("T")


@cache
def public_roots() -> PublicRoots:
    """One public root, in the place of certifi's."""
    pem = certificates.a_root("Public Root", certificates.ec_key(99)).certificate.pem
    return PublicRoots(pem, pki.TrustBundle(pki.decode_certificates(pem)).digest, "certifi of this test")


@dataclass
class Cluster:
    """The objects and the time; `views_kept` is the operator's memory of them, by version."""

    now: datetime = certificates.NOW
    cluster_domain: str = "cluster.local"
    api: ApiServer = field(default_factory=ApiServer)
    views_kept: dict[Any, Any] = field(default_factory=dict)

    # ---- what users and the cluster do

    def put(self, *given: Object) -> None:
        """Create objects, or change the spec, data, labels and annotations of those that exist."""
        for obj in given:
            if self.api.peek(key_of(obj)) is None:
                self.api.create(obj, self.now)
            else:
                self.api.edit(key_of(obj), lambda there, obj=obj: _merge(there, obj))  # type: ignore[misc]

    def delete(self, kind: str, name: str, space: str = "") -> None:
        """Delete an object and what it owns."""
        self.api.delete(ObjectKey(kind, space, name))

    def annotate(self, key: ObjectKey, **values: str | None) -> None:
        """Set or remove annotations under anchorline.dev."""

        def change(obj: Object) -> None:
            have = obj["metadata"].setdefault("annotations", {})
            for name, value in values.items():
                have.pop(f"{naming.GROUP}/{name}", None)
                have |= {} if value is None else {f"{naming.GROUP}/{name}": value}

        self.api.edit(key, change)

    def run_pod(self, name: str, space: str) -> None:
        """Start a pod; it is injected when the namespace's label says so, as the webhook would."""
        labelled = naming.is_enabled(self.namespace_seen(space).label(naming.TRUST))
        self.api.create(a_pod(name, space, injected=labelled), self.now)

    def corrupt(self, name: str, entry: str = naming.TLS_CERT, space: str = OPERATOR_NAMESPACE) -> None:
        """Break one entry of a Secret, as a bad disk or a bad hand would."""
        broken = objects.encoded(broken=b"garbage")["broken"]
        self.api.edit(ObjectKey("Secret", space, name), lambda obj: obj["data"].update({entry: broken}))

    # ---- what the operator sees

    def view(self, obj: Object, project: Callable[[Object], Any]) -> Any:
        """A projection of an object, worked out once a version."""
        version = project, obj["metadata"]["resourceVersion"]
        if version not in self.views_kept:
            self.views_kept[version] = project(obj)
        return self.views_kept[version]

    def once(self, what: str, work: Callable[[], T]) -> T:
        """Something that follows from the objects alone, worked out once between two writes."""
        kept = self.views_kept.get(what)
        if kept is None or kept[0] != len(self.api.writes):
            kept = self.views_kept[what] = len(self.api.writes), work()
        found: T = kept[1]
        return found

    def secrets(self, space: str | None = None) -> tuple[tuple[ObjectKey, Any], ...]:
        """Views of the Secrets that carry our label, with their objects' keys."""
        mine = (obj for obj in self.api.list("Secret", space) if _ours(obj))
        seen = ((key_of(obj), self.view(obj, views.secret_view)) for obj in mine)
        return self.once(f"Secrets of {space}", lambda: tuple(seen))

    def private_cas(self) -> tuple[PrivateCA, ...]:
        """All PrivateCAs."""
        return self.once("PrivateCAs", lambda: tuple(self.view(obj, _private_ca) for obj in self.api.list("PrivateCA")))

    def private_ca(self, name: str) -> PrivateCA | None:
        """One PrivateCA."""
        return next((ca for ca in self.private_cas() if ca.metadata.name == name), None)

    def brought(self, ca: PrivateCA | None) -> BroughtSecret | None:
        if ca is None or ca.spec.root.source is not RootSource.SECRET or ca.spec.root.secret_name is None:
            return None
        obj = self.api.peek(ObjectKey("Secret", OPERATOR_NAMESPACE, ca.spec.root.secret_name))
        return None if obj is None else self.view(obj, brought_secret)

    def material(self, name: str) -> Material:
        """The Secrets of one authority."""
        return self.once(f"material of {name}", lambda: self._material(name))

    def _material(self, name: str) -> Material:
        mine = (
            view
            for _, view in self.secrets(OPERATOR_NAMESPACE)
            if isinstance(view, views.AuthoritySecret) and view.authority == name
        )
        brought = self.brought(self.private_ca(name))
        return material_of(mine, brought.seen if brought else None)

    def authority(self, ca: PrivateCA) -> Authority:
        """What a PrivateCA means now."""
        material, turn = self.material(ca.metadata.name), ca.spec.rotation
        meaning = authority_of(ca.metadata.name, material, self.now, reissue_over=turn.reissue_over, paused=turn.paused)
        if meaning.signer is None and not meaning.problem:
            return replace(meaning, problem=_said(ca))
        return meaning

    def observe_private_ca(self, name: str) -> AuthoritySeen | None:
        """One PrivateCA and its material."""
        ca = self.private_ca(name)
        if ca is None:
            return None
        return AuthoritySeen(
            resource=ca,
            material=self.material(name),
            stores=self._stores(ca),
            rotation=self.rotation_seen(ca),
            foreign=self._foreign(name),
            public_roots=public_roots().version,
            cluster_domain=self.cluster_domain,
        )

    def rotation_seen(self, ca: PrivateCA) -> RotationSeen:
        """What the gates of a rotation look at: for a world that rotates to say."""
        _ = ca
        return RotationSeen()

    def _foreign(self, name: str) -> str:
        places = (naming.root_secret(name, 0)[:-1], naming.intermediate_secret(name, 0, 0)[:-3])
        for obj in self.api.list("Secret", OPERATOR_NAMESPACE):
            if key_of(obj).name.startswith(places) and not _ours(obj):
                return key_of(obj).name
        return ""

    def asking(self, ca: PrivateCA) -> tuple[NamespaceSeen, ...]:
        """Namespaces that should have the roots of a CA."""
        return self.once(f"asking for {ca.metadata.name}", lambda: self._asking(ca))

    def _asking(self, ca: PrivateCA) -> tuple[NamespaceSeen, ...]:
        found = (self.view(obj, views.namespace_view) for obj in self.api.list("Namespace"))
        return tuple(each for each in found if not each.deleting and _asks(each, ca))

    def _stores(self, ca: PrivateCA) -> StoreCount:
        wanted = set(trust_of(self.material(ca.metadata.name), self.now).fingerprints)
        asking = self.asking(ca)
        missing = [each.name for each in asking if not wanted <= set(self.private_roots(each.name))]
        return StoreCount(wanted=len(asking), missing=tuple(sorted(missing)))

    def private_roots(self, space: str) -> tuple[str, ...]:
        """Fingerprints of the private roots in the trust store of a namespace."""
        store = self.store(space)
        return store.private.fingerprints if isinstance(store, StoreSeen) else ()

    def observe_certificate(self, space: str, name: str) -> CertificateSeen | None:
        """One Certificate with everything that its plan needs."""
        obj = self.api.peek(ObjectKey("Certificate", space, name))
        if obj is None:
            return None
        resource = self.view(obj, views.certificate_view)
        ca, secret = self.private_ca(resource.spec.ca_ref.name), self.leaf(space, resource.spec.secret_name)
        issued = secret.authority if isinstance(secret, LeafSecret) else ""
        served_by = self.private_ca(issued) if issued else ca
        return CertificateSeen(
            resource=resource,
            namespace=self.namespace_seen(space),
            ca=ca,
            authority=self.authority(ca) if ca else None,
            secret=secret,
            serving=self.authority(served_by) if served_by else None,
            rival=self._rival(resource),
            cluster_domain=self.cluster_domain,
        )

    def leaf(self, space: str, name: str) -> LeafSecret | ForeignObject | None:
        """The Secret of a leaf."""
        key = ObjectKey("Secret", space, name)
        obj = self.api.peek(key)
        if obj is not None and not _ours(obj):
            return ForeignObject(found=str(key))
        view = self.view(obj, views.secret_view) if obj is not None else None
        return view if isinstance(view, LeafSecret) else None

    def certificates(self) -> tuple[Certificate, ...]:
        """All Certificates."""
        seen = (self.view(obj, views.certificate_view) for obj in self.api.list("Certificate"))
        return self.once("Certificates", lambda: tuple(seen))

    def _rival(self, resource: Any) -> str:
        found = self.certificates()
        meta, wanted = resource.metadata, resource.spec.secret_name
        claims = [
            (each.metadata.created, each.metadata.uid, each.metadata.name)
            for each in found
            if each.metadata.namespace == meta.namespace and each.spec.secret_name == wanted
        ]
        older = [claim for claim in claims if claim[:2] < (meta.created, meta.uid)]
        return min(older)[2] if older else ""

    def namespace_seen(self, name: str) -> NamespaceSeen:
        """A namespace's own words; an unknown one has none."""
        obj = self.api.peek(ObjectKey("Namespace", "", name))
        found: NamespaceSeen = self.view(obj, views.namespace_view) if obj else NamespaceSeen(name=name)
        return found

    def store(self, space: str) -> StoreSeen | ForeignObject | None:
        """The trust store of a namespace."""
        key = ObjectKey("ConfigMap", space, naming.TRUST_STORE)
        obj = self.api.peek(key)
        if obj is None:
            return None
        seen: StoreSeen = self.view(obj, views.store_view)
        return seen if _ours(obj) else ForeignObject(found=str(key))

    def observe_namespace(self, name: str) -> TrustSeen | None:
        """One namespace with the CAs that matter to it."""
        if self.api.peek(ObjectKey("Namespace", "", name)) is None:
            return None
        seen = self.namespace_seen(name)
        named = naming.trusted_names(seen.annotation(naming.TRUST))
        selecting = (ca.metadata.name for ca in self.private_cas() if _selects(ca, seen))
        trusted = tuple(self._trusted(each, seen) for each in dict.fromkeys((*named, *selecting)))
        store = self.store(name)
        return TrustSeen(
            namespace=seen,
            authorities=trusted,
            store=store,
            injected_pods=len(self.injected(name)) if counted(seen, store, trusted) else None,
            public_digest=public_roots().digest,
            public_size=len(public_roots().pem),
        )

    def _trusted(self, name: str, seen: NamespaceSeen) -> TrustedCA:
        ca, material = self.private_ca(name), self.material(name)
        found = trouble(material) or (lost(ca, material) if ca is not None else None)
        return TrustedCA(
            name=name,
            trust=trust_of(material, self.now),
            exists=ca is not None,
            selects=ca is not None and _selects(ca, seen),
            problem=found.message if found else "",
        )

    def injected(self, space: str) -> tuple[Object, ...]:
        """Pods that have the trust store mounted and may still run."""
        return tuple(
            pod
            for pod in self.api.list("Pod", space)
            if (pod["metadata"].get("labels") or {}).get(naming.INJECTED_LABEL) == "true"
            and pod["status"]["phase"] not in ("Succeeded", "Failed")
        )


def _private_ca(obj: Object) -> PrivateCA:
    return codec.decode_resource(PrivateCA, obj)


def _ours(obj: Object) -> bool:
    return (obj["metadata"].get("labels") or {}).get(naming.MANAGED_LABEL) == naming.MANAGED


def _said(ca: PrivateCA) -> str:
    """What its status says of a CA that cannot sign, "" while it is being made; as `kube.observe` has it."""
    ready = next((each for each in ca.status.conditions if each.type == "Ready"), None)
    return ready.message if ready is not None and ready.status == "False" and ready.reason != "Pending" else ""


def _selects(ca: PrivateCA, seen: NamespaceSeen) -> bool:
    return policy.selects(ca.spec.trust.namespace_selector, seen.labels, default=False)


def _asks(seen: NamespaceSeen, ca: PrivateCA) -> bool:
    return ca.metadata.name in naming.trusted_names(seen.annotation(naming.TRUST)) or _selects(ca, seen)


def _merge(there: Object, given: Object) -> None:
    for part in given.keys() - {"metadata"}:
        there[part] = given[part]
    for part in ("labels", "annotations"):
        there["metadata"].setdefault(part, {}).update(given["metadata"].get(part, {}))
