"""Refusals are remembered for a minute, and for one spec of an object."""

import pytest

from anchorline.api.meta import ObjectKey
from anchorline.kube import denials
from anchorline.kube.client import ApiError
from anchorline.kube.denials import Denials

WEB, API = ObjectKey("Certificate", "shop", "web"), ObjectKey("Certificate", "shop", "api")


def refused(status: int) -> ApiError:
    return ApiError("the quota is used up", status=status)


def test_a_refusal_is_told_until_it_is_time_to_try_again() -> None:
    now = [5.0]
    known = Denials(lambda: now[0])
    assert known.of(WEB, 1) == ""
    known.note(WEB, 1, refused(403))
    assert known.of(WEB, 1) == "the quota is used up"
    assert known.of(API, 1) == ""
    now[0] += denials.TRY_AGAIN_SECONDS
    assert known.of(WEB, 1) == ""


def test_another_spec_is_tried_at_once() -> None:
    known = Denials()
    known.note(WEB, 1, refused(422))
    assert known.of(WEB, 2) == ""


@pytest.mark.parametrize("status", [0, 404, 409, 429, 500, 503])
def test_what_may_be_otherwise_the_next_time_is_not_remembered(status: int) -> None:
    known = Denials()
    known.note(WEB, 1, refused(status))
    assert known.of(WEB, 1) == ""


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "_REMEMBERED_AT_MOST", 1)
    known = Denials()
    for key in (WEB, API):
        known.note(key, 1, refused(403))
    assert (known.of(WEB, 1), known.of(API, 1)) == ("", "the quota is used up")
