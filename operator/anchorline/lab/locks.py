"""File locks between processes: the kernel frees them however their holder ends, so a lock is never stale."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anchorline import errors

_TICK_SECONDS = 0.2


@contextmanager
def held(path: Path, other: str, *, deadline_seconds: float = 3600.0) -> Iterator[bool]:
    """Hold the lock at `path`; True when somebody else (`other`, for the message) had to be waited for.

    Raises `NotReady` after `deadline_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + deadline_seconds
    waited = False
    while (lock := attempt(path)) is None:
        if not waited:
            print(f"waiting for {other}", file=sys.stderr, flush=True)
        waited = True
        if time.monotonic() > end:
            raise errors.NotReady(f"Gave up waiting for {other}, which holds {path}; end it, or wait, and try again.")
        time.sleep(_TICK_SECONDS)
    try:
        yield waited
    finally:
        os.close(lock)


def attempt(path: Path) -> int | None:
    """Take the lock at `path` and return its open file, or None when somebody has it; children do not inherit it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def taken(path: Path) -> bool:
    """Whether somebody holds the lock at `path` now."""
    if not path.exists():
        return False
    lock = attempt(path)
    if lock is None:
        return True
    os.close(lock)
    return False
