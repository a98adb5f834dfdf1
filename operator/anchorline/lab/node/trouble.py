"""What is wrong with a node, in one sentence each: too little room to begin with, and what is seen of it later."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from anchorline import errors
from anchorline.lab.folder import ComponentState
from anchorline.lab.node.cgroups import hierarchies

_GIB = 2**30
# The kubelet starts nothing below a GiB of disk (settings.py); images, their unpacked layers and logs come on top.
DISK_BYTES = 3 * _GIB
# The control plane and the node's programs take 0.8 GiB; the kubelet starts nothing below 100 MiB.
MEMORY_BYTES = _GIB * 5 // 4
_FULL_BYTES = 2**20
_NO_IMAGE = ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff")
_KILLED = -9
_PRESSURE = {
    "MemoryPressure": "memory; end other programs",
    "DiskPressure": "disk; free some room, or start it with another --dir",
    "PIDPressure": "process numbers; end other programs",
}


def require_room(directory: Path, elsewhere: str) -> None:
    """Raise `NotReady` when a node in `directory` would start no pod; `elsewhere` says what to do instead of it."""
    place = next(each for each in (directory, *directory.parents) if each.is_dir())
    disk, memory = shutil.disk_usage(place).free, available_memory()
    if disk < DISK_BYTES:
        raise errors.NotReady(
            f"A node needs {_gib(DISK_BYTES)} of free disk below {directory} and there is {_gib(disk)}; free some room,"
            f" choose another --dir, or {elsewhere}."
        )
    if memory < MEMORY_BYTES:
        raise errors.NotReady(
            f"A node needs {_gib(MEMORY_BYTES)} of free memory and there is {_gib(memory)}; end other programs,"
            f" or {elsewhere}."
        )


def available_memory() -> int:
    """Bytes that programs can still get on this machine, and in the cgroup that they are started in."""
    told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return min([int(told["MemAvailable"].split()[0]) * 1024, *_limits()])


def _limits() -> Iterator[int]:
    for each in hierarchies():
        statistics = each.own / "memory.stat"
        if "memory" in each.controllers.split(",") and statistics.is_file():
            told = dict(line.split() for line in statistics.read_text().splitlines())
            yield int(told["hierarchical_memory_limit"])


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"


def of_disk(root: Path) -> Iterator[str]:
    """Say that the lab's folder cannot be written to any more."""
    if shutil.disk_usage(root).free < _FULL_BYTES:
        yield f"The disk of {root} is full: free some room and start the lab anew, or with another --dir."


def of_components(components: Iterable[ComponentState]) -> Iterator[str]:
    """Say of each program that has ended how, and what that means."""
    for each in components:
        if each.exit_code == _KILLED:
            yield f"{each.name} was killed, as by a machine without memory; end other programs and start the lab anew."
        elif each.exit_code is not None:
            yield f"{each.name} ended with exit code {each.exit_code}; its log is beside lab.json. Start the lab anew."


def of_cluster(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Say what nodes lack, and which pods wait for an image that was never loaded."""
    for each in objects:
        yield from _of_node(each) if each["kind"] == "Node" else _of_pod(each)


def _of_node(node: dict[str, Any]) -> Iterator[str]:
    for each in node["status"].get("conditions", ()):
        if each["status"] == "True" and each["type"] in _PRESSURE:
            yield f"Node {node['metadata']['name']} runs out of {_PRESSURE[each['type']]}; it starts no pod meanwhile."


def _of_pod(pod: dict[str, Any]) -> Iterator[str]:
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    status = pod["status"]
    if status.get("reason") == "Evicted":
        yield f"Pod {name} was evicted: {status.get('message', '')}"
    for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if each["state"].get("waiting", {}).get("reason") in _NO_IMAGE:
            yield f"Pod {name} waits for image {each['image']}, which is not loaded; `anchorline lab load ARCHIVE`."
