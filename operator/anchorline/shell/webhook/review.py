"""AdmissionReview in, AdmissionReview out, without I/O: every body is answered, and every answer allows the pod."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import orjson

from anchorline.plan import injection
from anchorline.plan.pod import Pod

API_VERSION: Final = "admission.k8s.io/v1"
# Kubernetes cuts warnings that are longer.
WARNING_CHARACTERS: Final = 120

Decide = Callable[[object], injection.Decision]

# Outcomes of a review that never came as far as a pod; the others are injection.Outcome.
NOT_A_REVIEW: Final = "not-a-review"
NOT_A_POD: Final = "not-a-pod"
TOO_LARGE: Final = "too-large"
FAILED: Final = "failed"

_WARNINGS: Final = {
    NOT_A_REVIEW: "anchorline: not injected: the webhook did not understand the request",
    NOT_A_POD: "anchorline: not injected: only the creation of pods is",
    TOO_LARGE: "anchorline: not injected: the request is too large",
    FAILED: "anchorline: not injected: internal error, see the webhook's log",
    injection.Outcome.FOREIGN_VOLUME: "anchorline: not injected: the pod has another volume named anchorline-trust",
    injection.Outcome.FOREIGN_MOUNT: "anchorline: not injected: /etc/anchorline/trust is taken in every container",
    injection.Outcome.MALFORMED: "anchorline: not injected: the pod is not well-formed",
}
_BEGIN: Final = (
    b'{"kind":"AdmissionReview","apiVersion":"' + API_VERSION.encode("ascii") + b'","response":{"allowed":true,"uid":'
)
_UID: Final = re.compile(rb'"uid"\s*:\s*"([0-9A-Za-z-]{1,64})"')
_HEAD: Final = 4096


class _Kind(msgspec.Struct, gc=False):
    group: str | None = None
    kind: str | None = None


class _Request(msgspec.Struct, gc=False, rename="camel"):
    uid: str
    kind: _Kind
    operation: str
    object: Pod
    sub_resource: str | None = None


class _Review(msgspec.Struct, gc=False, rename="camel"):
    kind: str
    api_version: str
    request: _Request


_decode: Final = msgspec.json.Decoder(_Review).decode


class Answer(NamedTuple):
    """The answer's body, and in one word what became of the request (a value of the metric's `outcome`).

    `error` is what went wrong inside, for the log; the pod is allowed all the same.
    """

    body: bytes
    outcome: str
    error: Exception | None = None


def answer(body: bytes, decide: Decide = injection.decide) -> Answer:
    """Answer an AdmissionReview (admission.k8s.io/v1). Never raises, never denies, has no side effects.

    An exception here would deny the pod: the API server applies failurePolicy only to webhooks that do not answer.
    """
    uid = ""
    try:
        request = _of_new_pod(body)
        if request is None:
            return _odd(body)
        uid = request.uid
        decision = decide(request.object)
        return _allow(uid, decision.outcome.value, decision.patch, decision.warning)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not keep a pod from starting
        return _allow(uid, FAILED, error=error)


def too_large(head: bytes) -> Answer:
    """Answer a request whose body was not read to its end. The API server writes the uid at its beginning."""
    found = _UID.search(head[:_HEAD])
    return _allow(found[1].decode("ascii") if found else "", TOO_LARGE)


def _of_new_pod(body: bytes) -> _Request | None:
    """The request, when a pod is in it that is being created; nearly always it is."""
    try:
        review = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    request = review.request
    is_review = review.kind == "AdmissionReview" and review.api_version == API_VERSION
    is_pod = request.kind.kind == "Pod" and not request.kind.group and not request.sub_resource
    return request if is_review and is_pod and request.uid and request.operation == "CREATE" else None


def _odd(body: bytes) -> Answer:
    """Say what else it is."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _allow("", NOT_A_REVIEW)
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(review, dict) or not isinstance(request, dict):
        return _allow("", NOT_A_REVIEW)
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        return _allow("", NOT_A_REVIEW)
    if review.get("kind") != "AdmissionReview" or review.get("apiVersion") != API_VERSION:
        return _allow(uid, NOT_A_REVIEW)
    kind = request.get("kind")
    is_pod = isinstance(kind, dict) and kind.get("kind") == "Pod" and not kind.get("group")
    created = is_pod and request.get("operation") == "CREATE" and not request.get("subResource")
    return _allow(uid, injection.Outcome.MALFORMED if created else NOT_A_POD)


def _allow(uid: str, outcome: str, patch: bytes = b"", said: str = "", *, error: Exception | None = None) -> Answer:
    # Put together by hand: base64 needs no escaping, and a patch of several kilobytes is not copied twice.
    patched = b',"patchType":"JSONPatch","patch":"' + patch + b'"' if patch else b""
    warning = _WARNINGS.get(outcome, said)
    warnings = b',"warnings":' + orjson.dumps([warning]) if warning else b""
    return Answer(b"".join((_BEGIN, orjson.dumps(uid), patched, warnings, b"}}")), outcome, error)
