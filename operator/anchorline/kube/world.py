"""Everything that is watched, in caches, and which plan an event may have changed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from anchorline.api import codec, naming
from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.errors import NotReady
from anchorline.kube import views
from anchorline.kube.cache import Cache
from anchorline.kube.client import Client
from anchorline.kube.denials import Denials
from anchorline.kube.material import BroughtSecret, brought_secret
from anchorline.kube.public_roots import PublicRoots
from anchorline.kube.resources import CERTIFICATES, CONFIG_MAPS, NAMESPACES, PRIVATE_CAS, SECRETS
from anchorline.kube.views import AuthoritySecret, SecretView
from anchorline.pki import Issuer
from anchorline.plan.world import LeafSecret, NamespaceSeen, RotationSeen, StoreSeen

Name = tuple[str, str]
Changed = Callable[[ObjectKey], None]
OURS = f"{naming.MANAGED_LABEL}={naming.MANAGED}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the operator was told about its cluster."""

    namespace: str
    cluster_domain: str = "cluster.local"


class World:
    """What is known of the cluster; `changed` is called with the key of every plan that an event may have changed."""

    def __init__(self, client: Client, surroundings: Surroundings, public: PublicRoots, changed: Changed) -> None:
        self.client, self.surroundings, self.public, self.changed = client, surroundings, public, changed
        self.cas: dict[str, PrivateCA] = {}
        self.brought: dict[str, BroughtSecret] = {}
        self.foreign: set[ObjectKey] = set()
        self.denials = Denials()
        # What the last look at each CA's rotation found.
        self.rotations: dict[str, RotationSeen] = {}
        # Pods that were created without trust, by namespace, as the last look found them; None before the first.
        self.overlooked: dict[str, tuple[str, ...]] | None = None
        # When a root was last seen to come into, or to leave, a file that may be mounted: monotonic seconds.
        self.trust_changed: dict[str, float] = {}
        # What ca.crt of leaf Secrets held that were deleted: pods that mount one read on in what comes in its place.
        self._gone: dict[Name, frozenset[str]] = {}
        self._issuers: dict[str, tuple[object, Issuer]] = {}
        self._by_secret: dict[Name, set[str]] = {}
        self.secrets: Cache[SecretView] = Cache(
            client, SECRETS, labels=OURS, project=views.secret_view, on_change=self._secret_changed
        )
        self.stores: Cache[StoreSeen] = Cache(
            client,
            CONFIG_MAPS,
            labels=f"{OURS},{naming.ROLE_LABEL}={naming.ROLE_TRUST_STORE}",
            metadata_only=True,
            project=views.store_view,
            hydrate=self._whole_store,
            on_change=self._store_changed,
        )
        self.namespaces: Cache[NamespaceSeen] = Cache(
            client,
            NAMESPACES,
            metadata_only=True,
            project=views.namespace_view,
            on_change=self._namespace_changed,
        )
        self.certificates: Cache[CertificateResource] = Cache(
            client, CERTIFICATES, project=views.certificate_view, on_change=self._certificate_changed
        )
        # kopf tells of PrivateCAs too, but its watch ends for good with a 404: CRDs not there yet, or made anew.
        self.private_cas: Cache[PrivateCA] = Cache(
            client,
            PRIVATE_CAS,
            project=lambda obj: codec.decode_resource(PrivateCA, obj),
            on_change=lambda name, _old, _new: changed(ObjectKey("PrivateCA", "", name[1])),
        )

    @property
    def caches(self) -> tuple[Cache[Any], ...]:
        """All caches, to run and to ask for their health."""
        return (self.secrets, self.stores, self.namespaces, self.certificates, self.private_cas)

    async def _whole_store(self, name: Name, _metadata: object) -> StoreSeen | None:
        """Read a trust store whose metadata changed: its content is what decides, and its watch does not carry it."""
        obj = await self.client.find(CONFIG_MAPS, name[1], name[0])
        return None if obj is None else views.store_view(obj)

    def _namespace_changed(self, name: Name, old: NamespaceSeen | None, new: NamespaceSeen | None) -> None:
        """Policies choose namespaces by label: other labels may grant, or refuse, what its Certificates ask for."""
        self.changed(ObjectKey("Namespace", "", name[1]))
        if new is None or (old is not None and _others_labels(old) == _others_labels(new)):
            return
        for each in self.certificates.in_namespace(new.name):
            self.changed(ObjectKey("Certificate", new.name, each.metadata.name))

    def _store_changed(self, name: Name, old: StoreSeen | None, new: StoreSeen | None) -> None:
        namespace = self.namespaces.get(("", name[0]))
        mounted = namespace is not None and namespace.label(naming.TRUST) is not None
        if old is not None or mounted:
            self._roots_changed(_fingerprints(old), _fingerprints(new))
        self.changed(ObjectKey("Namespace", "", name[0]))

    def _roots_changed(self, old: frozenset[str], new: frozenset[str]) -> None:
        now = time.monotonic()
        for fingerprint in old ^ new:
            self.trust_changed[fingerprint] = now

    def _secret_changed(self, name: Name, old: SecretView | None, new: SecretView | None) -> None:
        if isinstance(old, LeafSecret) and new is None:
            self._gone[name] = old.trusted
        elif isinstance(new, LeafSecret):
            before = old.trusted if isinstance(old, LeafSecret) else self._gone.pop(name, new.trusted)
            self._roots_changed(before, new.trusted)
        for view in (old, new):
            if isinstance(view, AuthoritySecret) and view.namespace == self.surroundings.namespace:
                self.changed(ObjectKey("PrivateCA", "", view.authority))
        for certificate in self.wanting(name):
            self.changed(ObjectKey("Certificate", name[0], certificate))

    def _certificate_changed(
        self, name: Name, old: CertificateResource | None, new: CertificateResource | None
    ) -> None:
        if old is not None and (new is None or new.spec.secret_name != old.spec.secret_name):
            self._unclaim((name[0], old.spec.secret_name), name[1])
        if new is not None:
            self._by_secret.setdefault((name[0], new.spec.secret_name), set()).add(name[1])
        self.changed(ObjectKey("Certificate", *name))

    def _unclaim(self, secret: Name, certificate: str) -> None:
        """A Certificate lets go of a Secret: others that want it may have it now."""
        claims = self._by_secret.get(secret, set())
        claims.discard(certificate)
        if not claims:
            self._by_secret.pop(secret, None)
            self._gone.pop(secret, None)
        for other in claims:
            self.changed(ObjectKey("Certificate", secret[0], other))

    def wanting(self, secret: Name) -> tuple[str, ...]:
        """Names of the Certificates that want this Secret."""
        return tuple(self._by_secret.get(secret, ()))

    def authority_secrets(self, authority: str) -> Iterator[AuthoritySecret]:
        """Secrets of one authority; only those in the operator's own namespace count, whatever labels others carry."""
        for view in self.secrets.in_namespace(self.surroundings.namespace):
            if isinstance(view, AuthoritySecret) and view.authority == authority:
                yield view

    def leaf(self, name: Name) -> LeafSecret | None:
        """The Secret of a leaf."""
        view = self.secrets.get(name)
        return view if isinstance(view, LeafSecret) else None

    def served_by(self, resource: CertificateResource) -> str:
        """The CA that issued what a Certificate's Secret holds; the one that it names while nothing is there."""
        leaf = self.leaf((resource.metadata.namespace, resource.spec.secret_name))
        return (leaf.authority if leaf is not None else "") or resource.spec.ca_ref.name

    async def private_ca(self, name: str) -> PrivateCA | None:
        """Read a PrivateCA and remember it; None when it does not exist."""
        obj = await self.client.find(PRIVATE_CAS, name)
        if obj is None:
            self.cas.pop(name, None)
            return None
        self.cas[name] = codec.decode_resource(PrivateCA, obj)
        return self.cas[name]

    async def read_brought(self, ca: PrivateCA) -> BroughtSecret | None:
        """Read the Secret that a user brought for this CA and remember it."""
        name = ca.spec.root.secret_name
        obj = await self.client.find(SECRETS, name, self.surroundings.namespace) if name else None
        if obj is None:
            self.brought.pop(ca.metadata.name, None)
            return None
        self.brought[ca.metadata.name] = brought_secret(obj)
        return self.brought[ca.metadata.name]

    def issuer(self, secret: str) -> Issuer:
        """Certificate and key of an authority Secret, ready to sign. Raises NotReady when it cannot."""
        source = self._key_holder(secret)
        if source is None or source.key is None or not source.chain:
            raise NotReady(f"Secret {self.surroundings.namespace}/{secret} has no key that can sign")
        known = self._issuers.get(secret)
        if known is None or known[0] is not source.key:
            known = (source.key, Issuer(source.chain[0], source.key))
            self._issuers[secret] = known
        return known[1]

    def _key_holder(self, secret: str) -> AuthoritySecret | BroughtSecret | None:
        view = self.secrets.get((self.surroundings.namespace, secret))
        if isinstance(view, AuthoritySecret) and view.key is not None:
            return view
        if isinstance(view, AuthoritySecret):
            # A record of a root that was brought: the key is in the Secret that the user brought.
            certificate = view.certificate
            return next((each for each in self.brought.values() if each.chain and each.chain[0] == certificate), None)
        return next((each for each in self.brought.values() if each.name == secret), None)


def _others_labels(namespace: NamespaceSeen) -> tuple[tuple[str, str], ...]:
    return tuple(label for label in namespace.labels if label[0] != naming.TRUST)


def _fingerprints(store: StoreSeen | None) -> frozenset[str]:
    return frozenset(store.private.fingerprints) if store is not None else frozenset()
