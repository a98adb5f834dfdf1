"""The closed union of actions, and the Plan: a plain value that prints and holds no key material.

The order of a plan's actions is a safety property: applying any prefix of it leaves every promise true.
"""

from dataclasses import dataclass
from datetime import datetime

from anchorline.api.certificate import CertificateStatus, Encoding
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import Phase, PrivateCAStatus
from anchorline.pki import Certificate, IntermediateProfile, KeySpec, LeafProfile, RootProfile, TrustBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRoot:
    """Make a key, sign a root with it, and have the old root cross-sign it; all in one new immutable Secret."""

    authority: str
    generation: int
    secret: str
    profile: RootProfile
    key: KeySpec
    phase: Phase
    since: datetime
    cause: str
    deletion_policy: str
    bridge_from: str = ""
    bridge_until: datetime | None = None

    def __str__(self) -> str:
        bridge = f", cross-signed by {self.bridge_from}" if self.bridge_from else ""
        return f"create Secret {self.secret}: root {self.profile.subject} ({self.key}{bridge}; {self.cause})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRoot:
    """Write down a root that a user brought: its certificate in a Secret of ours, never its key."""

    authority: str
    generation: int
    secret: str
    certificate: Certificate
    source: str
    phase: Phase
    since: datetime
    cause: str
    deletion_policy: str

    def __str__(self) -> str:
        root = f"record of root {self.certificate.subject_text} from Secret {self.source}"
        return f"create Secret {self.secret}: {root} ({self.cause})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIntermediate:
    """Make a key and have the root sign an intermediate for it, in a new immutable Secret."""

    authority: str
    generation: int
    number: int
    secret: str
    profile: IntermediateProfile
    key: KeySpec
    root_secret: str
    issued_until: datetime
    deletion_policy: str
    why: str

    def __str__(self) -> str:
        return f"create Secret {self.secret}: intermediate under {self.root_secret} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateAuthority:
    """Change annotations of an authority Secret; its data is immutable."""

    secret: str
    annotations: tuple[tuple[str, str], ...]
    why: str

    def __str__(self) -> str:
        return f"annotate Secret {self.secret} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRetired:
    """Keep the certificate of a root that is trusted no more, before its key Secret goes."""

    authority: str
    generation: int
    secret: str
    certificate: Certificate
    since: datetime
    cause: str
    deletion_policy: str

    def __str__(self) -> str:
        return f"create Secret {self.secret}: certificate of retired root {self.certificate.subject_text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAuthority:
    """Delete an authority Secret of ours."""

    secret: str
    why: str

    def __str__(self) -> str:
        return f"delete Secret {self.secret} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretShape:
    """What a leaf's Secret carries besides key and leaf certificate."""

    labels: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...]
    owner: tuple[str, str] | None  # (name, uid) of the Certificate when the Secret goes with it
    tail: tuple[Certificate, ...]
    trust: TrustBundle


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLeaf:
    """Make (or keep) a key, have the signer sign a leaf for it, and write both in one go."""

    target: ObjectKey
    profile: LeafProfile
    key: KeySpec
    encoding: Encoding
    reuse_key: bool
    signer_secret: str
    shape: SecretShape
    replaces: str  # resourceVersion of the Secret that is replaced, "" to create
    why: str

    def __str__(self) -> str:
        verb = "replace" if self.replaces else "create"
        names = ", ".join(self.profile.names) or str(self.profile.subject)
        return f"{verb} {self.target}: leaf for {names} signed by {self.signer_secret} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteLeaf:
    """Keep key and leaf of a Secret; bring its chain, trust or metadata up to date.

    `keep_chain`: what is served after the leaf stays as it is, since its issuer is not known any more.
    """

    target: ObjectKey
    shape: SecretShape
    replaces: str
    why: str
    keep_chain: bool = False

    def __str__(self) -> str:
        return f"rewrite {self.target}: same key and leaf ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutTrustStore:
    """Write the trust store of a namespace."""

    namespace: str
    private: TrustBundle
    public: bool
    replaces: str
    why: str
    formats: tuple[str, ...] = ()

    def __str__(self) -> str:
        roots = ", ".join(root.common_name or root.subject_text for root in self.private) or "no private roots"
        content = f"{roots} + public roots" if self.public else roots
        also = f", also as {', '.join(self.formats)}" if self.formats else ""
        return f"put trust store of namespace {self.namespace}: {content}{also} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTrustStore:
    """Delete the trust store of a namespace."""

    namespace: str
    why: str

    def __str__(self) -> str:
        return f"delete trust store of namespace {self.namespace} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNamespace:
    """Switch injection for a namespace by our label, and choose the formats that pods get."""

    namespace: str
    enabled: bool
    formats: tuple[str, ...] = ()

    def __str__(self) -> str:
        also = f" with {', '.join(self.formats)}" if self.formats else ""
        return f"{'label' if self.enabled else 'unlabel'} namespace {self.namespace} for injection{also}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """Write the status of one of our own objects.

    `replaces` is the resourceVersion of the object that was looked at: the status is put in the place of its whole one
    if it is still that. Without it the fields of `status` are applied to whatever is there.
    """

    target: ObjectKey
    status: PrivateCAStatus | CertificateStatus
    replaces: str = ""

    def __str__(self) -> str:
        ready = next((c for c in self.status.conditions if c.type == "Ready"), None)
        return f"set status of {self.target}: " + (
            f"Ready={ready.status} {ready.reason}: {ready.message}" if ready else "no Ready"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Tell a person by a Kubernetes event."""

    about: ObjectKey
    uid: str
    warning: bool
    reason: str
    note: str
    action: str = "Reconcile"

    def __str__(self) -> str:
        return f"event on {self.about}: {self.reason}: {self.note}"


Action = (
    CreateRoot
    | RecordRoot
    | CreateIntermediate
    | AnnotateAuthority
    | RecordRetired
    | DeleteAuthority
    | IssueLeaf
    | RewriteLeaf
    | PutTrustStore
    | DeleteTrustStore
    | LabelNamespace
    | SetStatus
    | Emit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, in this order; `look_again` is when to think again without an event.

    `again` asks for another look right after applying: what was made now is the ground of the next decision.
    """

    actions: tuple[Action, ...] = ()
    look_again: datetime | None = None
    again: bool = False

    def __str__(self) -> str:
        return "\n".join(str(action) for action in self.actions) or "nothing to do"

    def __bool__(self) -> bool:
        return bool(self.actions)
