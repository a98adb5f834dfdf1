"""AdmissionReview in, AdmissionReview out, without I/O: every body is answered, and every answer allows the pod."""

import base64
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from anchorline.plan import injection

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
        uid, pod, odd = _request(orjson.loads(body))
        if odd:
            return _allow(uid, odd)
        decision = decide(pod)
        return _allow(uid, decision.outcome.value, decision.operations, decision.warning)
    except orjson.JSONDecodeError:
        return _allow(uid, NOT_A_REVIEW)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not keep a pod from starting
        return _allow(uid, FAILED, error=error)


def too_large(head: bytes) -> Answer:
    """Answer a request whose body was not read to its end. The API server writes the uid at its beginning."""
    found = _UID.search(head[:_HEAD])
    return _allow(found[1].decode("ascii") if found else "", TOO_LARGE)


def _request(review: object) -> tuple[str, object, str]:
    """The request's uid and pod, and a word when there is no pod in it that is being created."""
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(review, dict) or not isinstance(request, dict):
        return "", None, NOT_A_REVIEW
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        return "", None, NOT_A_REVIEW
    if review.get("kind") != "AdmissionReview" or review.get("apiVersion") != API_VERSION:
        return uid, None, NOT_A_REVIEW
    kind = request.get("kind")
    is_pod = isinstance(kind, dict) and kind.get("kind") == "Pod" and not kind.get("group")
    if not is_pod or request.get("operation") != "CREATE" or request.get("subResource"):
        return uid, None, NOT_A_POD
    return uid, request.get("object"), ""


def _allow(
    uid: str,
    outcome: str,
    operations: list[dict[str, Any]] | None = None,
    said: str = "",
    *,
    error: Exception | None = None,
) -> Answer:
    # Put together by hand: base64 needs no escaping, and a patch of several kilobytes is not copied twice.
    parts = [_BEGIN, orjson.dumps(uid)]
    if operations:
        parts += [b',"patchType":"JSONPatch","patch":"', base64.b64encode(orjson.dumps(operations)), b'"']
    if warning := _WARNINGS.get(outcome, said):
        parts += [b',"warnings":', orjson.dumps([warning])]
    parts.append(b"}}")
    return Answer(b"".join(parts), outcome, error)
