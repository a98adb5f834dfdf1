"""Cgroups of a node: a child of each of our own cgroups, which becomes the root of a tree of the node's own."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DEADLINE_SECONDS = 10.0
_TICK_SECONDS = 0.05
_PREFIX = "anchorline-lab-"
_INHERITED = ("cpuset.cpus", "cpuset.mems")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One cgroup hierarchy as this process sees it; `controllers` is empty for the unified one."""

    controllers: str
    own: Path


def hierarchies() -> list[Hierarchy]:
    """Return the mounted hierarchies with the folder of the cgroup that this process is in."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mount = _mount_of(controllers)
        if mount:
            own = mount / path.lstrip("/")
            found.append(Hierarchy(controllers, own if own.is_dir() else mount))
    return found


def _mount_of(controllers: str) -> Path | None:
    wanted = set(controllers.split(","))
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if (kind == "cgroup2" and not controllers) or (kind == "cgroup" and wanted <= set(options.split(","))):
            return Path(place)
    return None


class Cgroups:
    """The node's cgroup in each hierarchy, named after the lab's folder so that a crashed lab's is found again."""

    def __init__(self, folder: Path) -> None:
        name = f"{_PREFIX}{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        self.roots = [hierarchy.own / name for hierarchy in hierarchies()]

    def make(self) -> None:
        """Make them, after what crashed labs left was taken away: a living node has its first process in its root."""
        for root in self.roots:
            for other in root.parent.glob(f"{_PREFIX}*"):
                if not (other / "cgroup.procs").read_text():
                    _removed(other)
        for root in self.roots:
            root.mkdir()
            for file in _INHERITED:  # a new cpuset is empty, and nothing can be put into it before it is not
                parent = root.parent / file
                if parent.is_file():
                    (root / file).write_text(parent.read_text())
            if (root / "cgroup.clone_children").is_file():
                (root / "cgroup.clone_children").write_text("1")

    def join(self) -> None:
        """Move the calling process in; between fork and exec."""
        for root in self.roots:
            opened = os.open(root / "cgroup.procs", os.O_WRONLY)
            os.write(opened, b"0")
            os.close(opened)

    def remove(self) -> None:
        """Take them away, the innermost first; the kernel may need a moment after the last process has ended."""
        end = time.monotonic() + _DEADLINE_SECONDS
        left = self.roots
        while (left := [root for root in left if not _removed(root)]) and time.monotonic() < end:
            time.sleep(_TICK_SECONDS)


def _removed(root: Path) -> bool:
    try:
        for folder in _deepest_first(root):
            folder.rmdir()
    except OSError:
        return not root.exists()
    return True


def _deepest_first(root: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(root, topdown=False):
        yield Path(folder)
