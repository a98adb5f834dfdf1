"""Answers are kept for the very same arguments, never given for others that have come in their place."""

from dataclasses import dataclass

import pytest

from anchorline.plan.remembered import by_identity


@dataclass(frozen=True)
class Value:
    """A frozen value; two that are equal are still two."""

    number: int


def test_the_same_arguments_are_worked_out_once() -> None:
    asked: list[int] = []

    @by_identity(8)
    def double(value: Value, times: int = 2) -> int:
        asked.append(value.number)
        return value.number * times

    one = Value(1)
    assert (double(one), double(one), double(Value(1)), double(one, times=3)) == (2, 2, 2, 3)
    assert asked == [1, 1, 1]


def test_values_that_come_and_go_never_get_the_answers_of_others() -> None:
    @by_identity(8)
    def number(value: Value) -> int:
        return value.number

    assert [number(Value(each)) for each in range(1000)] == list(range(1000))


def test_what_cannot_be_answered_is_asked_again() -> None:
    @by_identity(8)
    def fail(value: Value) -> int:
        raise ValueError(value.number)

    one = Value(1)
    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            fail(one)
