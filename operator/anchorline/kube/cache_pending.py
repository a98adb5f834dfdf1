"""Our own writes that a watch has not shown yet: what arrives before them is older and must not undo them."""

from collections import OrderedDict
from enum import Enum, auto
from typing import Final, NamedTuple

Key = tuple[str, str]
# A write that no event has confirmed for so long is read again: the object may have left the selection.
DOUBT_SECONDS: Final = 30.0
_REMEMBERED: Final = 4096


class Verdict(Enum):
    """What an event is, seen from our own writes."""

    NEWS = auto()
    OURS = auto()
    STALE = auto()


class _Write(NamedTuple):
    version: str  # "" for a deletion
    at: float


class Pending:
    """Own writes by key. resourceVersions are compared for equality only (they are opaque), so order decides.

    A watch shows every version in turn: until it shows the one that we wrote, all it shows of that object is older.
    """

    def __init__(self) -> None:
        self._writes: dict[Key, _Write] = {}
        self._shown: OrderedDict[str, None] = OrderedDict()

    def wrote(self, key: Key, version: str, now: float) -> bool:
        """Note an own write; False when the watch was faster than the answer and has shown it already."""
        if version in self._shown:
            return False
        self._writes[key] = _Write(version, now)
        return True

    def deleted(self, key: Key, now: float) -> None:
        """Note an own deletion: events of the object are stale until the deletion is shown."""
        self._writes[key] = _Write("", now)

    def judge(self, key: Key, version: str, *, deletion: bool) -> Verdict:
        """Say what an event of the watch is, and remember that it was shown."""
        self._shown[version] = None
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)
        write = self._writes.get(key)
        if write is None:
            return Verdict.NEWS
        if write.version != (version if not deletion else ""):
            return Verdict.STALE
        del self._writes[key]
        return Verdict.OURS

    def since(self, key: Key, moment: float) -> str | None:
        """The resourceVersion of an own write at or after `moment` ("" for a deletion), None when there is none."""
        write = self._writes.get(key)
        return write.version if write and write.at >= moment else None

    def settle(self, key: Key) -> None:
        """Forget the own write of `key`: the object was read after it."""
        self._writes.pop(key, None)

    def doubtful(self, before: float) -> list[Key]:
        """Keys whose own write is older than `before` and was never shown."""
        return [key for key, write in self._writes.items() if write.at < before]

    def keys(self) -> list[Key]:
        """All keys with an own write that was not shown yet."""
        return list(self._writes)
