"""The API server in memory, as far as plans meet it: versions, conflicts, immutable Secrets, garbage collection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from anchorline.api import codec
from anchorline.api.meta import ObjectKey

Object = dict[str, Any]


class Refused(Exception):
    """What the API server answers instead of doing what was asked; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def key_of(obj: Object) -> ObjectKey:
    """What names an object."""
    return ObjectKey(obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def copied(obj: Object) -> Object:
    """As a wire does it: plain JSON, and nobody else's."""
    same: Object = orjson.loads(orjson.dumps(obj))
    return same


@dataclass
class ApiServer:
    """Objects by key, with what a real server does to them; what it returns is never the object that it keeps."""

    objects: dict[ObjectKey, Object] = field(default_factory=dict)
    writes: list[ObjectKey] = field(default_factory=list)
    versions: int = 0

    def find(self, key: ObjectKey) -> Object | None:
        """One object, None when it does not exist."""
        found = self.objects.get(key)
        return None if found is None else copied(found)

    def peek(self, key: ObjectKey) -> Object | None:
        """One object, to read only; None when it does not exist."""
        return self.objects.get(key)

    def get(self, key: ObjectKey) -> Object:
        """One object; Refused when it does not exist."""
        found = self.find(key)
        if found is None:
            raise Refused(404, f"{key} not found")
        return found

    def list(self, kind: str, namespace: str | None = None) -> Iterator[Object]:
        """Objects of a kind, to read only, in the order in which they were made."""
        for key, obj in self.objects.items():
            if key.kind == kind and namespace in (None, key.namespace):
                yield obj

    def create(self, obj: Object, now: datetime) -> Object:
        """A new object; Refused (409) when it exists."""
        key = key_of(obj)
        if key in self.objects:
            raise Refused(409, f"{key} already exists")
        meta = {**obj["metadata"], "uid": f"uid-{self.versions + 1:06}", "creationTimestamp": codec.format_time(now)}
        return self._keep(key, {**obj, "metadata": {**meta, "generation": 1}})

    def replace(self, obj: Object) -> Object:
        """New content for an object; Refused when it is gone, was changed meanwhile, or is immutable."""
        key = key_of(obj)
        old, meta = self.get(key), obj["metadata"]
        if meta.get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise Refused(409, f"{key} was changed meanwhile")
        if old.get("immutable") and any(old.get(part) != obj.get(part) for part in ("data", "type", "immutable")):
            raise Refused(422, f"{key} is immutable")
        kept = {part: old["metadata"][part] for part in ("uid", "creationTimestamp", "generation")}
        return self._update(key, {**obj, "metadata": {**meta, **kept}})

    def edit(self, key: ObjectKey, change: Callable[[Object], object]) -> Object:
        """What somebody else does to an object: no version is asked for, and nothing is immutable."""
        obj = self.get(key)
        change(obj)
        return self._update(key, obj)

    def delete(self, key: ObjectKey) -> None:
        """Delete an object and what it owns; one that is gone is gone."""
        gone = self.objects.pop(key, None)
        if gone is None:
            return
        self.writes.append(key)
        uid = gone["metadata"]["uid"]
        for other, obj in tuple(self.objects.items()):
            if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ())):
                self.delete(other)

    def _update(self, key: ObjectKey, obj: Object) -> Object:
        old = self.objects[key]
        if old == obj:
            return copied(old)
        changed = old.get("spec") != obj.get("spec")
        generation = old["metadata"]["generation"] + (1 if changed else 0)
        return self._keep(key, {**obj, "metadata": {**obj["metadata"], "generation": generation}})

    def _keep(self, key: ObjectKey, obj: Object) -> Object:
        self.versions += 1
        self.writes.append(key)
        obj["metadata"]["resourceVersion"] = str(self.versions)
        self.objects[key] = copied(obj)
        return copied(self.objects[key])
