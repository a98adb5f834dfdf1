"""The one tree of exceptions, named by who has to act; messages are sentences for users, without key material."""

from enum import StrEnum


class Reason(StrEnum):
    """Condition, event and error reasons (Kubernetes API conventions: CamelCase, stable, one per cause)."""

    READY = "Ready"
    PENDING = "Pending"
    INVALID_SPEC = "InvalidSpec"
    NAME_NOT_ALLOWED = "NameNotAllowed"
    POLICY_DENIED = "PolicyDenied"
    AUTHORITY_NOT_FOUND = "AuthorityNotFound"
    AUTHORITY_NOT_READY = "AuthorityNotReady"
    AUTHORITY_DELETED = "AuthorityDeleted"
    CORRUPT_MATERIAL = "CorruptMaterial"
    KEY_MISMATCH = "KeyMismatch"
    MATERIAL_INCOMPLETE = "MaterialIncomplete"
    NOT_A_CA = "NotACertificateAuthority"
    CONSTRAINT_VIOLATION = "ConstraintViolation"
    EXPIRED = "Expired"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_NOT_OURS = "SecretNotOurs"  # noqa: S105
    SECRET_CONTESTED = "SecretContested"  # noqa: S105
    CONFIG_MAP_NOT_OURS = "ConfigMapNotOurs"
    TRUST_FORMAT_UNKNOWN = "TrustFormatUnknown"
    TRUST_STORE_TOO_LARGE = "TrustStoreTooLarge"
    PODS_WITHOUT_TRUST = "PodsWithoutTrust"
    CLUSTER_ERROR = "ClusterError"
    CONFLICT = "Conflict"
    FORBIDDEN = "Forbidden"


class AnchorlineError(Exception):
    """Base of all errors that Anchorline raises on purpose.

    `reason` is stable and for machines, the message is one sentence for people: what is wrong, where, what to do.
    """

    default_reason = Reason.PENDING

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class InvalidSpec(AnchorlineError):
    """The user must change something; nothing is tried again until the object changes."""

    default_reason = Reason.INVALID_SPEC


class NotReady(AnchorlineError):
    """Something else must happen first; its event, or a look after a minute, goes on."""

    default_reason = Reason.PENDING


class CorruptMaterial(AnchorlineError):
    """Bytes that should be a certificate or a key are not; stored material is never overwritten because of it."""

    default_reason = Reason.CORRUPT_MATERIAL


class ClusterError(AnchorlineError):
    """The API server refused or was away; tried again with backoff. `status` is the HTTP status, 0 for no answer."""

    default_reason = Reason.CLUSTER_ERROR

    def __init__(self, message: str, *, reason: Reason | None = None, status: int = 0) -> None:
        super().__init__(message, reason=reason)
        self.status = status
