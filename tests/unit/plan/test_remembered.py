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
    def product(one: Value, other: Value) -> int:
        asked.append(one.number)
        return one.number * other.number

    two, three = Value(2), Value(3)
    assert [product(two, three), product(two, three), product(three, two), product(two, two)] == [6, 6, 6, 4]
    assert product(Value(2), three) == 6
    assert asked == [2, 3, 2, 2]


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
