"""Which contents were in force when: an object's present content, and those that a peer may still hold for a while."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Content(Protocol):
    """Something with a digest."""

    @property
    def digest(self) -> str: ...


C = TypeVar("C", bound=Content)
Place = tuple[str, str, str]


@dataclass
class Ledger(Generic[C]):
    """Contents by place; one that was replaced, or whose object is gone, stays in force for `lag` seconds."""

    lag: float
    _now: dict[Place, C] = field(default_factory=dict)
    _past: list[tuple[float, Place, C]] = field(default_factory=list)

    def put(self, place: Place, content: C | None, at: float) -> bool:
        """Note what is at a place now; whether that was not in force anywhere before."""
        self.forget(at)
        fresh = content is not None and all(each.digest != content.digest for _, each in self.in_force())
        before = self._now.pop(place, None)
        if before is not None and (content is None or before.digest != content.digest):
            self._past.append((at + self.lag, place, before))
        if content is not None:
            self._now[place] = content
        return fresh

    def forget(self, at: float) -> None:
        """Let go of what nobody can hold any more."""
        self._past = [each for each in self._past if each[0] > at]

    def in_force(self) -> Iterator[tuple[Place, C]]:
        """Every content that somebody may hold."""
        yield from self._now.items()
        yield from ((place, content) for _, place, content in self._past)

    def present(self) -> Iterator[tuple[Place, C]]:
        """What is there now."""
        yield from self._now.items()

    def at(self, place: Place) -> C | None:
        """What is at a place now."""
        return self._now.get(place)
