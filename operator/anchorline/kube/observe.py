"""From the caches to the frozen values that decisions are made of."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from operator import is_

from anchorline.api import naming
from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.api.meta import Condition, ObjectKey
from anchorline.api.privateca import PrivateCA, RootSource
from anchorline.errors import InvalidSpec, NotReady
from anchorline.kube.gates import Gates
from anchorline.kube.material import material_of
from anchorline.kube.resources import CONFIG_MAPS, PODS, SECRETS
from anchorline.kube.world import Name, World
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
    StoreCount,
    StoreSeen,
    TrustedCA,
    TrustSeen,
)


class Observer:
    """Answers what is seen; what is costly and shared by thousands of plans is worked out once a change."""

    def __init__(self, world: World) -> None:
        self.world, self.gates = world, Gates(world)
        self._meanings: dict[str, tuple[object, Authority]] = {}
        self._materials: dict[str, tuple[tuple[object, ...], Material]] = {}

    def material(self, name: str) -> Material:
        """The Secrets of one authority, worked out when one of them is another; keys of what is gone are not kept."""
        brought, secrets = self.world.brought.get(name), tuple(self.world.authority_secrets(name))
        known = self._materials.get(name)
        if known is not None and _the_same(known[0], (brought, *secrets)):
            return known[1]
        material = material_of(secrets, brought.seen if brought else None)
        if secrets:
            self._materials[name] = ((brought, *secrets), material)
        else:
            self._materials.pop(name, None)
        return material

    def forget(self, name: str) -> None:
        """Work out anew what an authority's Secrets mean."""
        self._meanings.pop(name, None)

    def authority(self, ca: PrivateCA, now: datetime) -> Authority:
        """What a PrivateCA means now; kept until it is forgotten or time changes it."""
        known = self._meanings.get(ca.metadata.name)
        if known is not None and known[0] == ca and not _past(known[1], now):
            return known[1]
        rotation, material = ca.spec.rotation, self.material(ca.metadata.name)
        meaning = authority_of(
            ca.metadata.name, material, now, reissue_over=rotation.reissue_over, paused=rotation.paused
        )
        if meaning.signer is None and not meaning.problem:
            meaning = replace(meaning, problem=_said(ca))
        self._meanings[ca.metadata.name] = (ca, meaning)
        return meaning

    async def private_ca(self, name: str, now: datetime) -> AuthoritySeen | None:
        """One PrivateCA, read from the API server: there are few, and no event of them may be missed."""
        ca = await self.world.private_ca(name)
        self.forget(name)
        if ca is None:
            return None
        if ca.spec.root.source is RootSource.SECRET:
            await self.world.read_brought(ca)
        material, asking = self.material(name), self.asking(ca)
        self.world.rotations[name] = rotation = await self.gates.rotation(ca, material, asking, now)
        return AuthoritySeen(
            resource=ca,
            material=material,
            stores=self.stores(material, asking, now),
            rotation=rotation,
            overlooked=self._overlooked(asking),
            foreign=await self._foreign_authority(name),
            public_roots=self.world.public.version,
            cluster_domain=self.world.surroundings.cluster_domain,
        )

    def _overlooked(self, asking: tuple[NamespaceSeen, ...]) -> tuple[str, ...] | None:
        known = self.world.overlooked
        if known is None:
            return None
        return tuple(f"{each.name}/{pod}" for each in asking for pod in known.get(each.name, ()))

    async def _foreign_authority(self, name: str) -> str:
        """A Secret in the place of one of this authority's that is not marked as ours."""
        places = (naming.root_secret(name, 0)[:-1], naming.intermediate_secret(name, 0, 0)[:-3])
        for key in tuple(self.world.foreign):
            if key.namespace == self.world.surroundings.namespace and key.name.startswith(places):
                if await self.world.client.find(SECRETS, key.name, key.namespace, metadata_only=True) is not None:
                    return key.name
                self.world.foreign.discard(key)
        return ""

    def asking(self, ca: PrivateCA) -> tuple[NamespaceSeen, ...]:
        """Namespaces that want this CA's roots; those that are being deleted hold up nothing."""
        return tuple(each for each in self.world.namespaces.values() if not each.deleting and _asks(each, ca))

    def stores(self, material: Material, asking: tuple[NamespaceSeen, ...], now: datetime) -> StoreCount:
        """How far the roots of a CA are distributed."""
        wanted = frozenset(trust_of(material, now).fingerprints)
        missing = [each.name for each in asking if not self._carries(each.name, wanted)]
        return StoreCount(wanted=len(asking), missing=tuple(sorted(missing)))

    def rotating(self, name: str) -> bool:
        """Whether a root of this CA is being replaced."""
        return sum(1 for each in self.world.authority_secrets(name) if each.role == naming.ROLE_ROOT) > 1

    def _carries(self, namespace: str, wanted: frozenset[str]) -> bool:
        store = self.world.stores.get((namespace, naming.TRUST_STORE))
        return store is not None and wanted <= set(store.private.fingerprints)

    async def certificate(self, name: Name, now: datetime) -> CertificateSeen | None:
        """One Certificate with everything that its plan needs."""
        resource = self.world.certificates.get(name)
        if resource is None:
            return None
        namespace = self.world.namespaces.get(("", name[0]))
        if namespace is None:
            raise NotReady(f"namespace {name[0]} has not been seen yet")  # its event comes; it goes on then
        ca_name = resource.spec.ca_ref.name
        ca = self.world.cas.get(ca_name) or await self.world.private_ca(ca_name)
        authority = self.authority(ca, now) if ca else None
        return CertificateSeen(
            resource=resource,
            namespace=namespace,
            ca=ca,
            authority=authority,
            secret=await self._leaf_secret(resource),
            serving=await self._serving(resource, authority, now),
            rival=self._rival(resource),
            cluster_domain=self.world.surroundings.cluster_domain,
            denied=self.world.denials.of(ObjectKey("Certificate", *name), resource.metadata.generation),
        )

    async def _serving(
        self, resource: CertificateResource, authority: Authority | None, now: datetime
    ) -> Authority | None:
        """The authority of what is served: mostly the one that is named."""
        name = self.world.served_by(resource)
        if name == resource.spec.ca_ref.name:
            return authority
        with suppress(InvalidSpec):  # said by its own plan
            ca = self.world.cas.get(name) or await self.world.private_ca(name)
            return self.authority(ca, now) if ca else None
        return None

    async def _leaf_secret(self, resource: CertificateResource) -> LeafSecret | ForeignObject | None:
        name = (resource.metadata.namespace, resource.spec.secret_name)
        seen = self.world.leaf(name)
        if seen is not None:
            return seen
        key = ObjectKey("Secret", *name)
        if key not in self.world.foreign and not _was_foreign(resource.status.conditions):
            return None
        # Foreign objects are not watched: look whether it is still there.
        if await self.world.client.find(SECRETS, name[1], name[0], metadata_only=True) is not None:
            return ForeignObject(found=str(key))
        self.world.foreign.discard(key)
        return None

    def _rival(self, resource: CertificateResource) -> str:
        """The older of two Certificates that want one Secret; of the same second, the one whose Secret it is."""
        namespace = resource.metadata.namespace
        secret = (namespace, resource.spec.secret_name)
        seen = self.world.leaf(secret)
        owner = seen.certificate_name if seen is not None else ""

        def age(each: CertificateResource) -> tuple[datetime, bool, str]:
            created = each.metadata.created
            assert created is not None  # noqa: S101 - the API server dates every object
            return created, each.metadata.name != owner, each.metadata.uid

        wanting = (self.world.certificates.get((namespace, name)) for name in self.world.wanting(secret))
        oldest = min((each for each in wanting if each is not None), key=age, default=resource)
        return "" if oldest.metadata.name == resource.metadata.name else oldest.metadata.name

    async def namespace(self, name: str, now: datetime) -> TrustSeen | None:
        """One namespace with the CAs that matter to it."""
        seen = self.world.namespaces.get(("", name))
        if seen is None:
            return None
        authorities = tuple(self._trusted(each, seen, now) for each in await self._relevant(seen))
        store = await self._store(name)
        injected = await self.injected_pods(name) if counted(seen, store, authorities) else None
        return TrustSeen(
            namespace=seen,
            authorities=authorities,
            store=store,
            injected_pods=injected,
            overlooked=(self.world.overlooked or {}).get(name, ()),
            public_digest=self.world.public.digest,
            public_size=len(self.world.public.pem),
        )

    async def _relevant(self, seen: NamespaceSeen) -> tuple[str, ...]:
        """CAs that this namespace names, or that select it."""
        named = naming.trusted_names(seen.annotation(naming.TRUST))
        for name in named:
            if name not in self.world.cas:
                with suppress(
                    InvalidSpec
                ):  # what cannot be read is said by its own plan, and keeps no other roots away
                    await self.world.private_ca(name)
        selecting = (ca.metadata.name for ca in self.world.cas.values() if _selects(ca, seen))
        return tuple(dict.fromkeys((*named, *selecting)))

    def asked_by(self, namespace: str) -> tuple[str, ...]:
        """CAs that exist and whose status tells of this namespace's trust store."""
        seen = self.world.namespaces.get(("", namespace))
        return tuple(ca.metadata.name for ca in self.world.cas.values() if seen is not None and _asks(seen, ca))

    def _trusted(self, name: str, seen: NamespaceSeen, now: datetime) -> TrustedCA:
        ca = self.world.cas.get(name)
        material = self.material(name)
        found = trouble(material) or (lost(ca, material) if ca is not None else None)
        return TrustedCA(
            name=name,
            trust=trust_of(material, now),
            exists=ca is not None,
            selects=ca is not None and _selects(ca, seen),
            problem=found.message if found else "",
        )

    async def _store(self, name: str) -> StoreSeen | ForeignObject | None:
        store = self.world.stores.get((name, naming.TRUST_STORE))
        key = ObjectKey("ConfigMap", name, naming.TRUST_STORE)
        if store is not None or key not in self.world.foreign:
            return store
        if await self.world.client.find(CONFIG_MAPS, naming.TRUST_STORE, name, metadata_only=True) is not None:
            return ForeignObject(found=str(key))
        self.world.foreign.discard(key)
        return None

    async def injected_pods(self, namespace: str) -> int:
        """Pods of a namespace that have the trust store mounted and may still run."""
        listing = await self.world.client.list(
            PODS,
            namespace,
            labels=f"{naming.INJECTED_LABEL}=true",
            fields="status.phase!=Succeeded,status.phase!=Failed",
            metadata_only=True,
        )
        return len(listing.items)


def _the_same(some: tuple[object, ...], others: tuple[object, ...]) -> bool:
    return len(some) == len(others) and all(map(is_, some, others))


def _past(meaning: Authority, now: datetime) -> bool:
    if meaning.look_again is not None and now >= meaning.look_again:
        return True
    return meaning.signer is not None and now >= meaning.signer.ends


def _said(ca: PrivateCA) -> str:
    """What its status says of a CA that cannot sign, "" while it is being made."""
    ready = next((each for each in ca.status.conditions if each.type == "Ready"), None)
    return ready.message if ready is not None and ready.status == "False" and ready.reason != "Pending" else ""


def _selects(ca: PrivateCA, namespace: NamespaceSeen) -> bool:
    return policy.selects(ca.spec.trust.namespace_selector, namespace.labels, default=False)


def _asks(namespace: NamespaceSeen, ca: PrivateCA) -> bool:
    return ca.metadata.name in naming.trusted_names(namespace.annotation(naming.TRUST)) or _selects(ca, namespace)


def _was_foreign(conditions: tuple[Condition, ...]) -> bool:
    return any(each.type == "Ready" and each.reason == "SecretNotOurs" for each in conditions)
