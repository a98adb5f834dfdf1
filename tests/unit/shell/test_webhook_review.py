"""AdmissionReview: whatever comes in, the answer allows."""

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.plan import injection
from anchorline.shell.webhook import review

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web"}]}}


def a_review(**changes: Any) -> dict[str, Any]:
    request = {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "object": POD,
        **changes,
    }
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def response(body: bytes) -> dict[str, Any]:
    answer = json.loads(review.answer(body).body)
    assert (answer["kind"], answer["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
    assert answer["response"]["allowed"] is True
    assert all(len(warning) <= review.WARNING_CHARACTERS for warning in answer["response"].get("warnings", []))
    return answer["response"]


def test_a_pod_gets_the_patch_of_the_plan() -> None:
    answer = response(orjson.dumps(a_review()))
    assert answer["uid"] == "u-1"
    assert answer["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(answer["patch"])) == injection.injection(POD)
    assert "warnings" not in answer


def test_no_operations_no_patch() -> None:
    pod = {**POD, "metadata": {"annotations": {"anchorline.dev/inject": "false"}}}
    assert response(orjson.dumps(a_review(object=pod))) == {"uid": "u-1", "allowed": True}


def test_a_warning_of_the_plan_is_told_beside_the_patch() -> None:
    env = [{"name": "JAVA_TOOL_OPTIONS", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]
    pod = {**POD, "spec": {"containers": [{"name": "web", "env": env}]}}
    spec = injection.Injection(formats=("jks",))
    body = orjson.dumps(a_review(object=pod))
    answer = json.loads(review.answer(body, lambda found: injection.decide(found, spec=spec)).body)["response"]
    assert answer["patch"]
    (warning,) = answer["warnings"]
    assert "valueFrom" in warning
    assert len(warning) <= review.WARNING_CHARACTERS


def test_a_dry_run_is_answered_alike() -> None:
    assert response(orjson.dumps(a_review(dryRun=True))) == response(orjson.dumps(a_review(dryRun=False)))


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "not-a-review"),
        (b"{", "not-a-review"),
        (b"\xff\xfe", "not-a-review"),
        (b"[" * 100_000, "not-a-review"),
        (b"null", "not-a-review"),
        (b"[1]", "not-a-review"),
        (b'{"request": 1}', "not-a-review"),
        (orjson.dumps(a_review(uid=None)), "not-a-review"),
        (orjson.dumps(a_review() | {"kind": "Pod"}), "not-a-review"),
        (orjson.dumps(a_review() | {"apiVersion": "admission.k8s.io/v1beta1"}), "not-a-review"),
        (orjson.dumps(a_review(kind={"group": "apps", "kind": "Deployment"})), "not-a-pod"),
        (orjson.dumps(a_review(operation="UPDATE")), "not-a-pod"),
        (orjson.dumps(a_review(subResource="ephemeralcontainers")), "not-a-pod"),
        (orjson.dumps(a_review(object=None)), "malformed"),
        (orjson.dumps(a_review(object={"metadata": {}, "spec": {"containers": 1}})), "malformed"),
    ],
)
def test_what_is_odd_is_allowed_with_a_warning(body: bytes, outcome: str) -> None:
    assert response(body)["warnings"]
    assert review.answer(body).outcome == outcome


def test_the_uid_comes_back_from_a_review_of_another_version() -> None:
    assert response(orjson.dumps(a_review() | {"apiVersion": "admission.k8s.io/v2"}))["uid"] == "u-1"


def test_a_bug_of_ours_allows_and_is_told_to_the_log_only() -> None:
    def broken(_: object) -> injection.Decision:
        raise RuntimeError("tls.key of somebody")

    answer = review.answer(orjson.dumps(a_review()), broken)
    assert isinstance(answer.error, RuntimeError)
    assert answer.outcome == "failed"
    assert b"somebody" not in answer.body
    assert json.loads(answer.body)["response"]["uid"] == "u-1"


def test_a_large_body_is_allowed_and_its_uid_found_at_its_beginning() -> None:
    answer = json.loads(review.too_large(orjson.dumps(a_review())[:200]).body)["response"]
    assert (answer["uid"], answer["allowed"]) == ("u-1", True)
    assert json.loads(review.too_large(b"\xff" * 10).body)["response"]["allowed"] is True


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(orjson.dumps))
def test_any_body_is_answered(body: bytes) -> None:
    response(body)


@given(st.fixed_dictionaries({}, optional={k: st.none() | st.integers() | st.just({}) for k in a_review()["request"]}))
def test_any_request_is_answered(changes: dict[str, Any]) -> None:
    response(json.dumps(a_review(**changes)).encode())
