"""Findings, and how they become conditions: expected states are values, not exceptions."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anchorline.api.meta import MESSAGE_CHARACTERS, Condition, ConditionStatus

TOLD_AT_MOST = 10
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why something is not as it should be: a reason for machines, a sentence for people."""

    reason: str
    message: str


def joined(findings: tuple[Finding, ...]) -> Finding:
    """Several findings as one. Nobody reads a hundred sentences, and no condition could hold them."""
    more = (f"and {len(findings) - TOLD_AT_MOST} more",) if len(findings) > TOLD_AT_MOST else ()
    told = (*(each.message for each in findings[:TOLD_AT_MOST]), *more)
    return Finding(reason=findings[0].reason, message="; ".join(told))


def shortened(word: str) -> str:
    """What somebody wrote, as far as it helps to find it."""
    return word if len(word) <= SHOWN_CHARACTERS else f"{word[:SHOWN_CHARACTERS]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a root's phase waits for, as the end of a sentence, and until when as far as that is known."""

    generation: int
    what: str
    until: datetime | None = None

    @property
    def text(self) -> str:
        """The sentence's end, with its time."""
        return f"{self.what}, until {self.told:%Y-%m-%dT%H:%M:%SZ}" if self.told else self.what

    @property
    def told(self) -> datetime | None:
        """The time as people are told it: whole ten seconds upwards, so that a status does not change each second."""
        if self.until is None:
            return None
        up = self.until + timedelta(seconds=9, microseconds=999_999)
        return up.replace(second=up.second // 10 * 10, microsecond=0)


def condition(kind: str, *, ok: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition without a transition time; `settled` gives it one.

    With a longer message than a condition may have, the API server would refuse the whole status: it is cut.
    """
    if len(message) > MESSAGE_CHARACTERS:
        message = f"{message[: MESSAGE_CHARACTERS - 3]}..."
    return Condition(
        type=kind,
        status=ConditionStatus.TRUE if ok else ConditionStatus.FALSE,
        reason=reason,
        message=message,
        observed_generation=generation,
    )


def settled(new: tuple[Condition, ...], old: tuple[Condition, ...], now: datetime) -> tuple[Condition, ...]:
    """Give each condition its transition time: the old one while the status stays, else `now`."""
    before = {each.type: each for each in old}
    return tuple(_timed(each, before.get(each.type), now) for each in new)


def _timed(new: Condition, old: Condition | None, now: datetime) -> Condition:
    if old is not None and old.status == new.status and old.last_transition_time is not None:
        return replace(new, last_transition_time=old.last_transition_time)
    return replace(new, last_transition_time=now.replace(microsecond=0))


def soonest(*times: datetime | None) -> datetime | None:
    """The earliest of some times, None when there is none."""
    return min((time for time in times if time is not None), default=None)
