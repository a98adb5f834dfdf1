"""Profiles are valid by construction, and validity is never more than the issuer's."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.support.certificates import DAY, NOW, YEAR, a_root

from anchorline import pki
from anchorline.errors import InvalidSpec, Reason

LIFE = {"not_before": NOW, "not_after": NOW + DAY}
CA = pki.Subject("CA")
NAMES = pki.AlternativeNames(dns=("web.shop.svc",))


@pytest.mark.parametrize(
    ("kind", "fields", "rule"),
    [
        (pki.RootProfile, {"subject": pki.Subject(), **LIFE}, "needs a subject"),
        (pki.RootProfile, {"subject": pki.Subject("x" * 65), **LIFE}, "1 to 64"),
        (pki.RootProfile, {"subject": CA, "not_before": NOW, "not_after": NOW}, "not after notBefore"),
        (pki.RootProfile, {"subject": CA, "not_before": datetime(2026, 1, 1), "not_after": NOW}, "UTC"),  # noqa: DTZ001
        (pki.RootProfile, {"subject": CA, "not_before": NOW.replace(microsecond=1), "not_after": NOW}, "whole seconds"),
        (pki.IntermediateProfile, {"subject": CA, **LIFE, "path_length": -1}, "negative"),
        (pki.IntermediateProfile, {"subject": CA, **LIFE, "permitted_dns": (".svc",)}, "leading dot"),
        (pki.IntermediateProfile, {"subject": CA, **LIFE, "excluded_dns": ("*.a.svc",)}, "star"),
        (pki.IntermediateProfile, {"subject": CA, **LIFE, "excluded_dns": ("SVC",)}, "lower-case"),
        (pki.LeafProfile, {"subject": CA, "names": pki.AlternativeNames(), **LIFE}, "server auth"),
        (
            pki.LeafProfile,
            {"subject": pki.Subject(), "names": pki.AlternativeNames(), "usages": ("client auth",), **LIFE},
            "at least one name",
        ),
        (pki.LeafProfile, {"subject": CA, "names": pki.AlternativeNames(dns=("A.svc",)), **LIFE}, "canonical"),
        (pki.LeafProfile, {"subject": CA, "names": NAMES, "usages": ("crl sign",), **LIFE}, "crl sign"),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, fields: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule):
        kind(**fields)


def test_a_client_may_have_a_subject_and_no_names() -> None:
    profile = pki.LeafProfile(subject=CA, names=pki.AlternativeNames(), usages=("client auth",), **LIFE)
    assert not profile.names


def test_validity_is_backdated_and_in_whole_seconds() -> None:
    now = NOW.astimezone(timezone(timedelta(hours=2))).replace(microsecond=7)
    assert pki.validity(now, DAY, issuer=None) == (NOW - timedelta(minutes=5), NOW + DAY, False)


@pytest.mark.parametrize(
    ("now", "duration", "expected"),
    [
        (NOW, DAY, (NOW - timedelta(minutes=5), NOW + DAY, False)),
        (NOW, YEAR, (NOW - timedelta(minutes=5), NOW + 2 * DAY, True)),
        (NOW, 2 * DAY, (NOW - timedelta(minutes=5), NOW + 2 * DAY, False)),
        (NOW - DAY, DAY, (NOW - DAY, NOW, False)),
    ],
)
def test_validity_stays_within_the_issuers(now: datetime, duration: timedelta, expected: object) -> None:
    issuer = a_root(not_before=NOW - DAY, not_after=NOW + 2 * DAY).certificate
    assert pki.validity(now, duration, issuer=issuer) == expected


@pytest.mark.parametrize("duration", [timedelta(0), -DAY])
def test_a_duration_is_positive(duration: timedelta) -> None:
    with pytest.raises(InvalidSpec, match="not positive"):
        pki.validity(NOW, duration, issuer=None)


def test_a_duration_ends_within_the_calendar() -> None:
    with pytest.raises(InvalidSpec, match="year 9999"):
        pki.validity(NOW, timedelta(days=4_000_000), issuer=None)


@pytest.mark.parametrize("late", [timedelta(seconds=1), YEAR])
def test_nothing_is_issued_under_an_expired_issuer(late: timedelta) -> None:
    issuer = a_root(not_after=NOW).certificate
    with pytest.raises(InvalidSpec, match="expired at 2026-06-01T12:00:00Z") as caught:
        pki.validity(NOW + late, DAY, issuer=issuer)
    assert caught.value.reason is Reason.EXPIRED
    assert issuer.not_after.tzinfo is UTC


def test_what_is_above_the_issuer_may_end_first() -> None:
    issuer = a_root(not_after=NOW + YEAR).certificate
    assert pki.validity(NOW, 9 * DAY, issuer=issuer, ends=NOW + DAY)[1:] == (NOW + DAY, True)
    assert pki.validity(NOW, DAY, issuer=issuer, ends=NOW + 9 * DAY)[1:] == (NOW + DAY, False)
    with pytest.raises(
        InvalidSpec, match="Acme Internal 1,O=Acme, or what is above it, expired at 2026-06-02T12:00:00Z"
    ):
        pki.validity(NOW + 2 * DAY, DAY, issuer=issuer, ends=NOW + DAY)


def test_nothing_is_issued_for_before_the_issuer() -> None:
    with pytest.raises(InvalidSpec, match=r"nothing of .* from 2026-05-30T12:00:00Z"):
        pki.validity(NOW - 2 * DAY, DAY, issuer=a_root(not_before=NOW - DAY).certificate)
