"""What is said stays short enough to be said: many findings, and messages longer than a condition may have."""

import pytest

from anchorline.api.meta import MESSAGE_CHARACTERS
from anchorline.plan.findings import TOLD_AT_MOST, Finding, condition, joined


def findings(number: int) -> tuple[Finding, ...]:
    return tuple(Finding(reason=f"Reason{each}", message=f"sentence {each}") for each in range(number))


@pytest.mark.parametrize("number", [1, TOLD_AT_MOST])
def test_a_few_findings_are_all_told(number: int) -> None:
    found = joined(findings(number))
    assert found == Finding(reason="Reason0", message="; ".join(f"sentence {each}" for each in range(number)))


def test_of_many_findings_the_first_are_told_and_the_others_counted() -> None:
    assert joined(findings(TOLD_AT_MOST + 3)).message.endswith(f"sentence {TOLD_AT_MOST - 1}; and 3 more")


@pytest.mark.parametrize("length", [MESSAGE_CHARACTERS, MESSAGE_CHARACTERS + 1])
def test_a_message_that_a_condition_cannot_hold_is_cut(length: int) -> None:
    message = condition("Ready", ok=False, reason="Long", message="x" * length, generation=1).message
    assert len(message) == MESSAGE_CHARACTERS
    assert message.endswith("..." if length > MESSAGE_CHARACTERS else "xxx")
