"""A kubelet for all pods: each gets its own folder, and changes reach it late, as one swapped link (`..data`)."""

import base64
import heapq
import itertools
import queue
import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.auditor.access import Access, Object
from tests.auditor.watching import Name, Watch

WATCHED = (
    ("Secret", "/api/v1/secrets", {"labelSelector": "anchorline.dev/role=leaf"}),
    ("ConfigMap", "/api/v1/configmaps", {"fieldSelector": "metadata.name=anchorline-trust"}),
)
KEPT_VERSIONS = 3


@dataclass
class Mount:
    """One volume of one pod; `delay` is the span of seconds in which a change arrives."""

    folder: Path
    source: tuple[str, str, str]
    delay: tuple[float, float]
    versions: list[Path] = field(default_factory=list)
    swapped: int = 0


class Kubelet:
    """Call `work` often: it takes up what the watches saw, and swaps what is due."""

    def __init__(self, access: Access, root: Path) -> None:
        self.root = root
        self.latest = 0.0
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._changes: queue.SimpleQueue[tuple[str, Name, Object | None]] = queue.SimpleQueue()
        self._due: list[tuple[float, int, Mount]] = []
        self._mounts: list[Mount] = []
        self._number = itertools.count()
        self._watches = [
            Watch(access, kind, path, query, lambda *it: self._changes.put(it)).start() for kind, path, query in WATCHED
        ]
        for watch in self._watches:
            assert watch.synced.wait(30), watch.trouble

    def work(self) -> list[Mount]:
        """Do what is due; the mounts that were swapped."""
        self._take()
        done = []
        while self._due and self._due[0][0] <= time.monotonic():
            at, _, mount = heapq.heappop(self._due)
            if mount in self._mounts:
                self.latest = max(self.latest, time.monotonic() - at)
                self._swap(mount)
                done.append(mount)
        return done

    def _take(self) -> None:
        while not self._changes.empty():
            self._seen(*self._changes.get())

    def _seen(self, kind: str, name: Name, obj: Object | None) -> None:
        source = (kind, *name)
        if obj is None:
            return  # a running pod keeps what it has
        before = self._objects.get(source)
        self._objects[source] = obj
        if before is None or before.get("data") != obj.get("data"):
            for mount in self._mounts:
                if mount.source == source:
                    due = time.monotonic() + random.uniform(*mount.delay)
                    heapq.heappush(self._due, (due, next(self._number), mount))

    def mount(self, source: tuple[str, str, str], delay: tuple[float, float]) -> Mount:
        """A volume of a new pod, with what is there now."""
        self._take()
        mount = Mount(self.root / f"pod-{next(self._number)}", source, delay)
        mount.folder.mkdir(parents=True)
        self._swap(mount)
        for key in _content(self._objects[source]):
            (mount.folder / key).symlink_to(f"..data/{key}")
        self._mounts.append(mount)
        return mount

    def unmount(self, mount: Mount) -> None:
        """The pod is gone."""
        self._mounts.remove(mount)
        shutil.rmtree(mount.folder)

    def _swap(self, mount: Mount) -> None:
        version = mount.folder / f"..{next(self._number)}"
        version.mkdir()
        for key, content in _content(self._objects[mount.source]).items():
            (version / key).write_bytes(content)
        fresh = mount.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(mount.folder / "..data")
        mount.swapped += 1
        mount.versions.append(version)
        if len(mount.versions) > KEPT_VERSIONS:  # readers may still be in the one before
            shutil.rmtree(mount.versions.pop(0))


def _content(obj: Object) -> dict[str, bytes]:
    data: dict[str, str] = obj.get("data") or {}
    if obj["kind"] == "ConfigMap":
        return {key: value.encode() for key, value in data.items()}
    return {key: base64.b64decode(value) for key, value in data.items()}
