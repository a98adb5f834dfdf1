"""Brings Secrets and ConfigMaps into folders as a kubelet does: late, each at its own time, as one changed link."""

import base64
import json
import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from anchorline.api import naming
from anchorline.cli.demo.leash import Leashed, Order
from anchorline.cli.demo.scene import Object, Scene
from anchorline.lab import binaries

Key = tuple[str, str]


class Watch:
    """`kubectl get --watch` in the background: the newest version of each object."""

    def __init__(
        self, scene: Scene, stack: ExitStack, *what: str, changed: Callable[[Key], None] | None = None
    ) -> None:
        self.seen: dict[Key, Object] = {}
        self._changed = changed
        command = [str(binaries.locate("kubectl")), "get", *what, "--watch", "-o", "json"]
        order = Order(
            name="watch",
            command=command,
            log=str(scene.folder / "watch.log"),
            variables=scene.cluster.environment(),
        )
        process = Leashed(order, stdout=subprocess.PIPE)
        stack.callback(process.kill)
        threading.Thread(target=self._read, args=(process.words,), daemon=True).start()

    def _read(self, lines: Iterable[bytes]) -> None:
        """Take objects apart: each is printed over many lines, and only its last line is a lone brace."""
        part: list[bytes] = []
        for line in lines:
            part.append(line)
            if line.rstrip() == b"}" and not line.startswith(b" "):
                self._take(json.loads(b"".join(part)))
                part = []

    def _take(self, item: Object) -> None:
        key = (item["metadata"].get("namespace", ""), item["metadata"]["name"])
        self.seen[key] = item
        if self._changed:
            self._changed(key)


class Kubelet:
    """One kubelet for all pods of the demo; what changes is mounted after a random time of at most `lag` seconds."""

    def __init__(self, scene: Scene, stack: ExitStack, *, authority: str, lag: float) -> None:
        self.folder = scene.folder / "kubelet"
        self.folder.mkdir()
        self._lag, self._number = lag, 0
        self._lock = threading.Lock()
        self._ended = False
        self._known: set[Key] = set()
        leaves = f"{naming.ROLE_LABEL}={naming.ROLE_LEAF},{naming.AUTHORITY_LABEL}={authority}"
        stores = f"{naming.ROLE_LABEL}={naming.ROLE_TRUST_STORE}"
        stack.callback(self._end)
        self.leaves = Watch(scene, stack, "secrets", "-A", "-l", leaves, changed=self._changed)
        self.stores = Watch(scene, stack, "configmaps", "-A", "-l", stores, changed=self._changed)

    def mounted(self, namespace: str, name: str) -> Path:
        """Where a Secret or ConfigMap is mounted; a link that changes."""
        return self.folder / namespace / name

    def _changed(self, key: Key) -> None:
        """Mount at once what is new; what was changed comes when its turn comes, in its newest version then."""
        fresh = key not in self._known
        self._known.add(key)
        delay = 0.0 if fresh else random.uniform(0, self._lag)  # noqa: S311 - not a secret
        timer = threading.Timer(delay, self._mount, [key])
        timer.daemon = True
        timer.start()

    def _mount(self, key: Key) -> None:
        with self._lock:
            item = self.leaves.seen.get(key) or self.stores.seen.get(key)
            if item is None or self._ended:
                return
            self._number += 1
            version = self.folder / ".versions" / str(self._number)
            version.mkdir(parents=True)
            for name, content in _content(item).items():
                (version / name).write_bytes(content)
            link = self.mounted(*key)
            link.parent.mkdir(exist_ok=True)
            fresh = link.with_name(f".{self._number}")
            fresh.symlink_to(version)
            os.replace(fresh, link)  # noqa: PTH105 - Path.replace would do the same

    def _end(self) -> None:
        with self._lock:
            self._ended = True


def _content(item: Object) -> dict[str, bytes]:
    data: dict[str, str] = item.get("data") or {}
    if item["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in data.items()}
    return {key: value.encode() for key, value in data.items()}
