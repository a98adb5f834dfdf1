"""What the API server refuses, as an error whose message is a sentence and never holds what was sent."""

import re
from typing import Any, Final

import orjson

from anchorline.errors import ClusterError, Reason
from anchorline.kube import protobuf
from anchorline.kube.resources import Resource

CONFLICT: Final = 409
GONE: Final = 410
NOT_FOUND: Final = 404
TOO_MANY: Final = 429
UNAUTHORIZED: Final = 401
_REASONS: Final = {403: Reason.FORBIDDEN, CONFLICT: Reason.CONFLICT}
_LONGEST_MESSAGE: Final = 600
# Who denied a request in admission; what else is in its words may quote what was sent.
_DENIED: Final = re.compile(
    r"ValidatingAdmissionPolicy '[^']{1,253}' with binding '[^']{1,253}' denied request"
    r"|admission webhook \"[^\"]{1,253}\" denied the request"
)


class ApiError(ClusterError):
    """The API server answered with a refusal.

    `server_reason` is its own word (Conflict, AlreadyExists, NotFound, Forbidden, Invalid, Expired), `details` the
    `details` of its metav1.Status (empty for answers in protobuf).
    """

    def __init__(
        self, message: str, *, status: int, server_reason: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message, reason=_REASONS.get(status), status=status)
        self.server_reason = server_reason
        self.details = details or {}

    @property
    def conflict(self) -> bool:
        """Somebody changed the object since it was read (not: it exists already)."""
        return self.status == CONFLICT and self.server_reason != "AlreadyExists"

    @property
    def already_exists(self) -> bool:
        """An object of that name is there."""
        return self.server_reason == "AlreadyExists"

    @property
    def not_found(self) -> bool:
        """The object, or its kind, is not there."""
        return self.status == NOT_FOUND

    @property
    def gone(self) -> bool:
        """The resourceVersion or continue token is too old: list anew."""
        return self.status == GONE or self.server_reason == "Expired"


def refusal(verb: str, resource: Resource | None, what: str, status: int, body: bytes) -> ApiError:
    """Make the error of an answer: `cannot update Secret shop/web: <what the server said> (409 Conflict)`."""
    said = _status_object(body)
    server_reason = str(said.get("reason") or "")
    details = said.get("details") if isinstance(said.get("details"), dict) else None
    secret = resource is not None and resource.kind == "Secret" and status in (400, 422)
    words = str(said.get("message") or "no explanation")
    denied = _DENIED.search(words)
    message = words if not secret else denied[0] if denied else _causes(details)
    tail = f"{status} {server_reason}".strip()
    error = ApiError(
        f"cannot {verb} {what}: {message[:_LONGEST_MESSAGE]} ({tail})",
        status=status,
        server_reason=server_reason,
        details=None if secret else details,
    )
    error.reason = Reason.FORBIDDEN if denied else error.reason
    return error


def _causes(details: dict[str, Any] | None) -> str:
    """Name the bad fields of a Secret, not the server's message: it may quote what was sent."""
    causes = [cause for cause in (details or {}).get("causes") or () if isinstance(cause, dict)]
    listed = [f"{cause.get('field', 'a field')}: {cause.get('reason', 'invalid')}" for cause in causes]
    return "; ".join(listed) or "the server does not accept its content"


def _status_object(body: bytes) -> dict[str, Any]:
    try:
        said = protobuf.decode_status(body) if body.startswith(protobuf.MAGIC) else orjson.loads(body)
    except ValueError:
        # A proxy, or the server before it is ready, answers in plain words.
        return {"message": body[:200].decode(errors="replace").strip()}
    return said if isinstance(said, dict) else {}
