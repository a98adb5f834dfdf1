"""When a certificate is due: a point of its life, moved earlier by a jitter that a restart does not change."""

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache

from anchorline.errors import InvalidSpec

_MAX_JITTER = 0.05


def renew_before_fits(not_before: datetime, not_after: datetime, renew_before: timedelta) -> bool:
    """Whether `renew_before` leaves some of the life to use the certificate in; if not, the default holds."""
    return timedelta(0) < renew_before < not_after - not_before


@lru_cache(maxsize=256)
def renewal_time(
    not_before: datetime,
    not_after: datetime,
    *,
    renew_before: timedelta | None = None,
    percentage: int | None = None,
    seed: str,
) -> datetime:
    """Give the instant, in whole seconds, from which the certificate shall be replaced.

    Two thirds of the life by default, so that a third is left while the operator is away (P6); `renew_before` is that
    long before notAfter; `percentage` (cert-manager's renewBeforePercentage) is the percent of the life that remains.
    The jitter, up to 5 % of the life, depends on `seed` (the object's UID) and only moves earlier, never by more than
    half of the time until then. Raises InvalidSpec for a percentage outside 1 to 99.
    """
    life = not_after - not_before
    due = not_after - _remaining(not_before, not_after, renew_before, percentage)
    jitter = min(life * _MAX_JITTER, (due - not_before) / 2) * _fraction(seed)
    return (due - jitter).replace(microsecond=0)


def _remaining(
    not_before: datetime, not_after: datetime, renew_before: timedelta | None, percentage: int | None
) -> timedelta:
    life = not_after - not_before
    if percentage is not None:
        if not 0 < percentage < 100:
            raise InvalidSpec(f"renewBeforePercentage {percentage} is not between 1 and 99")
        return life * percentage / 100
    if renew_before is not None and renew_before_fits(not_before, not_after, renew_before):
        return renew_before
    return life / 3


def _fraction(seed: str) -> float:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") / 2**64
