"""A kubelet for all pods: each gets its own folder, and changes reach it late, as one swapped link (`..data`)."""

import base64
import heapq
import itertools
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.auditor.access import Access, Object
from tests.auditor.watching import Name, Watch

WATCHED = (
    ("Secret", "/api/v1/secrets", {"labelSelector": "anchorline.dev/role=leaf"}),
    ("ConfigMap", "/api/v1/configmaps", {"fieldSelector": "metadata.name=anchorline-trust"}),
)
KEPT_VERSIONS = 3
TURN_SECONDS = 0.05


@dataclass
class Mount:
    """One volume of one pod; `delay` is the span of seconds in which a change arrives, `told` is called when it has."""

    folder: Path
    source: tuple[str, str, str]
    delay: tuple[float, float]
    versions: list[Path] = field(default_factory=list)
    told: Callable[[], object] = str


class Kubelet:
    """At work from its beginning, in a thread of its own: certificates live for seconds, whatever a test does."""

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
        self._lock = threading.RLock()
        self._trouble: BaseException | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def check(self) -> None:
        """Raise what has ended its work."""
        if self._trouble is not None:
            raise self._trouble

    def end(self) -> None:
        """Bring nothing any more."""
        self._ended.set()

    def _run(self) -> None:
        try:
            while not self._ended.wait(TURN_SECONDS):
                with self._lock:
                    self._work()
        except BaseException as error:  # noqa: BLE001 - a thread tells nobody: `check` raises it
            self._trouble = error

    def _work(self) -> None:
        """Take up what the watches saw, and swap what is due."""
        self._take()
        while self._due and self._due[0][0] <= time.monotonic():
            at, _, mount = heapq.heappop(self._due)
            if mount in self._mounts:
                self.latest = max(self.latest, time.monotonic() - at)
                self._swap(mount)
                mount.told()

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
        with self._lock:
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
        with self._lock:
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
        mount.versions.append(version)
        if len(mount.versions) > KEPT_VERSIONS:  # readers may still be in the one before
            shutil.rmtree(mount.versions.pop(0))


def _content(obj: Object) -> dict[str, bytes]:
    data: dict[str, str] = obj.get("data") or {}
    if obj["kind"] == "ConfigMap":
        return {key: value.encode() for key, value in data.items()}
    return {key: base64.b64decode(value) for key, value in data.items()}
