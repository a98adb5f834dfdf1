"""Answers of pure functions, kept for as long as they are asked for with the very same values.

A Certificate is planned for twice in a row, when it is issued and when its status is written, with specs that are the
same objects both times: to compare them costs nothing, to hash them as much as to work the answer out.
"""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple

Asked = TypeVarTuple("Asked")
R = TypeVar("R")


def by_identity(at_most: int) -> Callable[[Callable[[*Asked], R]], Callable[[*Asked], R]]:
    """Keep the answers for `at_most` sets of arguments, told apart by identity; arguments are frozen values.

    What was asked with is kept with the answer, so that no identity is given to another value meanwhile.
    """

    def remembering(work: Callable[[*Asked], R]) -> Callable[[*Asked], R]:
        answers: dict[tuple[int, ...], tuple[object, R]] = {}

        @wraps(work)
        def answer(*asked: *Asked) -> R:
            key = tuple(map(id, asked))
            known = answers.get(key)
            if known is None:
                if len(answers) >= at_most:
                    answers.clear()
                known = answers[key] = (asked, work(*asked))
            return known[1]

        return answer

    return remembering
