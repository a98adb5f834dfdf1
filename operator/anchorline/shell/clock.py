"""The only reader of clocks: local time, corrected by the API server's when the two differ.

Certificates are read by others: a node whose clock jumps by an hour must not sign from the future.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# Below this, a Date header (whole seconds, and the time on the wire) says nothing.
TOLERATED = timedelta(seconds=5)


def local_time() -> datetime:
    """This machine's clock, UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one place


class Clock:
    """Time as the API server has it when the local clock disagrees, else the local clock's."""

    def __init__(self, server_time: Callable[[], datetime | None], local: Callable[[], datetime] = local_time) -> None:
        self._server_time, self._local = server_time, local

    def now(self) -> datetime:
        """The time to decide and to sign by."""
        return self._local() + self.correction()

    def correction(self) -> timedelta:
        """What is added to the local clock; zero while it agrees with the API server's."""
        server = self._server_time()
        if server is None:
            return timedelta(0)
        difference = server - self._local()
        return difference if abs(difference) > TOLERATED else timedelta(0)
