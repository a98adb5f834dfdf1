"""Renewal: when, in the default and in the ways cert-manager's users know, and that the jitter is stable."""

from datetime import timedelta

import pytest
from tests.support.certificates import DAY, NOW

from anchorline import pki
from anchorline.errors import InvalidSpec

LIFE = 30 * DAY
END = NOW + LIFE
SEEDS = [f"uid-{n}" for n in range(200)]


def test_by_default_a_third_of_the_life_is_left() -> None:
    times = [pki.renewal_time(NOW, END, seed=seed) for seed in SEEDS]
    assert max(times) <= NOW + LIFE * 2 / 3
    assert min(times) >= NOW + LIFE * (2 / 3 - 0.05) - timedelta(seconds=1)
    assert max(times) - min(times) > LIFE * 0.04
    assert all(time.microsecond == 0 for time in times)


@pytest.mark.parametrize(
    ("ways", "latest"),
    [
        ({"renew_before": 2 * DAY}, END - 2 * DAY),
        ({"percentage": 25}, END - LIFE / 4),
        ({"percentage": 25, "renew_before": DAY}, END - LIFE / 4),
        ({"renew_before": LIFE}, NOW + LIFE * 2 / 3),
        ({"renew_before": timedelta(0)}, NOW + LIFE * 2 / 3),
        ({"renew_before": LIFE - timedelta(hours=1)}, NOW + timedelta(hours=1)),
    ],
)
def test_other_ways_to_say_when(ways: dict[str, object], latest: object) -> None:
    for seed in SEEDS:
        time = pki.renewal_time(NOW, END, seed=seed, **ways)  # type: ignore[arg-type]
        assert NOW < time <= latest  # type: ignore[operator]
        assert time == pki.renewal_time(NOW, END, seed=seed, **ways)  # type: ignore[arg-type]


@pytest.mark.parametrize("percentage", [0, 100, -1])
def test_a_percentage_is_inside_the_life(percentage: int) -> None:
    with pytest.raises(InvalidSpec, match="between 1 and 99"):
        pki.renewal_time(NOW, END, percentage=percentage, seed="x")


def test_whether_renew_before_fits_can_be_asked() -> None:
    assert pki.renew_before_fits(NOW, END, DAY)
    assert not pki.renew_before_fits(NOW, END, LIFE)
    assert not pki.renew_before_fits(NOW, END, timedelta(0))
