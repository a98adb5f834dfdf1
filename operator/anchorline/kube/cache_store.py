"""Views by namespace and name, each with the resourceVersion that it was made of."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Key = tuple[str, str]
V = TypeVar("V")


class Store(Generic[V]):
    """A dictionary of dictionaries: looking up a whole namespace costs no search."""

    def __init__(self) -> None:
        self._spaces: dict[str, dict[str, tuple[V, str]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, key: Key) -> V | None:
        """View of one object, None when it is not there."""
        entry = self._spaces.get(key[0], {}).get(key[1])
        return entry[0] if entry else None

    def version(self, key: Key) -> str:
        """The resourceVersion of one view, "" when it is not there."""
        entry = self._spaces.get(key[0], {}).get(key[1])
        return entry[1] if entry else ""

    def put(self, key: Key, view: V, version: str) -> None:
        """Add or replace one view."""
        space = self._spaces.setdefault(key[0], {})
        self._count += key[1] not in space
        space[key[1]] = (view, version)

    def remove(self, key: Key) -> None:
        """Remove one view, if it is there."""
        space = self._spaces.get(key[0], {})
        if space.pop(key[1], None) is not None:
            self._count -= 1
        if not space:
            self._spaces.pop(key[0], None)

    def keys(self) -> set[Key]:
        """All keys, as a copy."""
        return {(namespace, name) for namespace, space in self._spaces.items() for name in space}

    def values(self) -> Iterator[V]:
        """All views; nothing may be put meanwhile (a loop without `await` in it is safe)."""
        for space in self._spaces.values():
            for view, _ in space.values():
                yield view

    def in_namespace(self, namespace: str) -> list[V]:
        """Views of one namespace, as a copy."""
        return [view for view, _ in self._spaces.get(namespace, {}).values()]
