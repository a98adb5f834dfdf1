"""Waits for what must come true, at most until a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

from anchorline.cli.demo.stage import Untrue

T = TypeVar("T")
TICK_SECONDS = 0.05


def until(question: Callable[[], T], what: str, *, seconds: float = 30.0) -> T:
    """Ask again and again until the answer is true, and return it. Raises `Untrue` when it is not in time."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > end:
            raise Untrue(f"not within {seconds:.0f} s: {what}")
        time.sleep(TICK_SECONDS)
    return answer
