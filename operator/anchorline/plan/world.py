"""What was observed: frozen values without key material, the only input of every decision besides the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from anchorline.api import naming
from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.api.meta import Metadata
from anchorline.api.privateca import Phase, PrivateCA
from anchorline.pki import Certificate, KeySpec, TrustBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class RootSeen:
    """The Secret of one root. `problem` is a sentence when its content cannot be used; nothing else counts then."""

    generation: int
    secret: str
    certificate: Certificate | None
    bridge: Certificate | None = None
    has_key: bool = False
    brought: bool = False
    phase: Phase = Phase.ACTIVE
    since: datetime
    cause: str = ""
    issued_until: datetime
    deletion_policy: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateSeen:
    """The Secret of one intermediate; `issued_until` is the horizon no certificate signed by it reaches beyond."""

    generation: int
    number: int
    secret: str
    certificate: Certificate | None
    tail: tuple[Certificate, ...] = ()
    has_key: bool = False
    brought: bool = False
    issued_until: datetime
    deletion_policy: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtSeen:
    """The Secret that a user brought: the CA certificate that signs, then its chain up to the root."""

    secret: str
    chain: tuple[Certificate, ...] = ()
    has_key: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredSeen:
    """A root that is trusted no more: its certificate is kept, its key is gone."""

    generation: int
    secret: str
    certificate: Certificate | None
    since: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything in the cluster that makes up one authority."""

    roots: tuple[RootSeen, ...] = ()
    intermediates: tuple[IntermediateSeen, ...] = ()
    retired: tuple[RetiredSeen, ...] = ()
    brought: BroughtSeen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCount:
    """How many trust stores should carry this authority's roots, and which of them do not yet."""

    wanted: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationSeen:
    """What the gates of a rotation look at.

    `steady` is how long every target has been seen to carry the newest root, `moved` how long no live leaf has been
    under an older one; both by a clock that does not jump, and only as far as this process has watched.
    `under` counts live leaves by generation; `pods` are running injected pods, by namespace, that started before the
    newest root could be read, None while they were not counted. `youngest` is when the last of all running injected
    pods was created, None while nobody asked.
    """

    stores_lacking: tuple[str, ...] = ()
    leaves_lacking: tuple[str, ...] = ()
    steady: timedelta = timedelta(0)
    moved: timedelta = timedelta(0)
    under: tuple[tuple[int, int], ...] = ()
    pods: tuple[tuple[str, int], ...] | None = None
    youngest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySeen:
    """One PrivateCA and its material.

    `overlooked` names pods (`namespace/name`) that were created without the roots that their namespace asks for, None
    while nobody has looked.
    """

    resource: PrivateCA
    material: Material
    stores: StoreCount = StoreCount()
    rotation: RotationSeen = RotationSeen()
    overlooked: tuple[str, ...] | None = None
    foreign: str = ""
    public_roots: str = ""
    cluster_domain: str = "cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafSecret:
    """A Secret of ours for a Certificate, as far as decisions need it. `problem` says why it cannot be used."""

    resource_version: str
    certificate: Certificate | None
    chain_digest: str = ""
    trust_digest: str = ""
    trusted: frozenset[str] = frozenset()
    key_spec: KeySpec | None = None
    request: str = ""
    revision: int = 0
    certificate_name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    owner_uid: str = ""
    problem: str = ""

    @property
    def authority(self) -> str:
        """The CA that issued it, which need not be the one that its Certificate names now; "" when nothing says."""
        return dict(self.labels).get(naming.AUTHORITY_LABEL, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignObject:
    """An object with the wanted name exists and is not marked as ours (P10)."""

    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceSeen:
    """A namespace's own words, and since when our label has said that its pods are injected."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    deleting: bool = False
    labelled_since: datetime | None = None

    def label(self, name: str) -> str | None:
        """Value of a label."""
        return dict(self.labels).get(name)

    def annotation(self, name: str) -> str | None:
        """Value of an annotation."""
        return dict(self.annotations).get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """A pod without our label, as its metadata tells of it."""

    namespace: str
    name: str
    uid: str
    created: datetime
    spared: bool = False  # opted out, static, or on its way out


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The intermediate that signs now, and the certificates that are served after the leaf.

    `above`: the certificates over it, the root last. `ends`: when the first of all these does. `followed`: another one
    that ends later comes in its place, by our own doing, before it ends.
    """

    generation: int
    secret: str
    certificate: Certificate
    tail: tuple[Certificate, ...]
    issued_until: datetime
    horizon_secret: str
    above: tuple[Certificate, ...]
    ends: datetime
    followed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """An intermediate that has signed leaves, what is served after a leaf of its now, and when its chain ends."""

    generation: int
    certificate: Certificate
    tail: tuple[Certificate, ...]
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What a PrivateCA means for leaves and trust stores at this moment.

    `recorded`: fingerprints of all roots that there is a Secret of; those that ended or are retired are not in `trust`.
    """

    name: str
    trust: TrustBundle
    recorded: frozenset[str] = frozenset()
    signer: Signer | None = None
    issuers: tuple[Issued, ...] = ()
    problem: str = ""
    problem_reason: str = ""
    reissue_from: datetime | None = None
    reissue_over: timedelta = timedelta(0)
    paused: bool = False
    look_again: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSeen:
    """One Certificate, its namespace, its Secret, and the authority that it names.

    `serving`: the authority that issued what the Secret holds, another one while a Certificate that names a new CA
    waits or is refused; None when that CA is gone. `denied`: why the API server has just refused what was wanted, as a
    sentence.
    """

    resource: CertificateResource
    namespace: NamespaceSeen
    ca: PrivateCA | None
    authority: Authority | None
    secret: LeafSecret | ForeignObject | None
    serving: Authority | None
    rival: str = ""
    cluster_domain: str = "cluster.local"
    denied: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSeen:
    """The trust store ConfigMap of a namespace."""

    resource_version: str
    digest: str
    private: TrustBundle
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCA:
    """One CA as trust stores see it: its roots, whether the PrivateCA exists, and whether it selects the namespace."""

    name: str
    trust: TrustBundle
    exists: bool
    selects: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSeen:
    """One namespace, what it asks for, and what it has.

    `public_size`: bytes of the public roots, as PEM. `overlooked`: names of its pods that were created without trust.
    """

    namespace: NamespaceSeen
    authorities: tuple[TrustedCA, ...]
    store: StoreSeen | ForeignObject | None
    injected_pods: int | None = None
    overlooked: tuple[str, ...] = ()
    public_digest: str = ""
    public_size: int = 0


__all__ = [
    "Authority",
    "AuthoritySeen",
    "BroughtSeen",
    "CertificateSeen",
    "ForeignObject",
    "IntermediateSeen",
    "Issued",
    "LeafSecret",
    "Material",
    "Metadata",
    "NamespaceSeen",
    "PodSeen",
    "RetiredSeen",
    "RootSeen",
    "RotationSeen",
    "Signer",
    "StoreCount",
    "StoreSeen",
    "TrustSeen",
    "TrustedCA",
]
