"""A control plane with a real node beside it, as a value that tests and `anchorline lab` hold."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from anchorline import errors
from anchorline.lab import binaries, image, locks, places, versions
from anchorline.lab.cluster import attach
from anchorline.lab.controlplane import ControlPlane
from anchorline.lab.folder import Folder, read_state
from anchorline.lab.node import components, debian, settings, trouble
from anchorline.lab.node.order import NodeOrder
from anchorline.lab.supervisor import Supervisor

_DEADLINE_SECONDS = 120.0
_RUN_SECONDS = 300.0
_NAMESPACES = ("-m", "-n", "-p", "-u", "-i", "-C")


class Node(ControlPlane):
    """A single-node Kubernetes in namespaces of its own, all in one folder; its API server answers on loopback.

    It ends as a `ControlPlane` does: with `close`, with the `with` block, or with the process that started it.
    """

    @classmethod
    def started(
        cls,
        *,
        directory: Path | None = None,
        fsync: bool = False,
        port: int | None = None,
        deadline: float = _DEADLINE_SECONDS,
        images: Sequence[Path] = (),
    ) -> Self:
        """Start a node and wait until a pod could start on it; load the archives `images`.

        Arguments and errors as for a `ControlPlane`; besides, `NotReady` on a machine that is not Debian, without root
        without cgroup v1, or with too little disk or memory. Debian packages that are missing are installed.
        """
        debian.require()
        where = (directory or places.scratch()).absolute()
        trouble.require_room(where, debian.INSTEAD)
        found = binaries.locate_all((*components.BUILT, "pause"))
        order = NodeOrder(
            directory=str(where),
            binaries={name: str(path) for name, path in found.items()},
            fsync=fsync,
            port=port,
            deadline=deadline,
            caller=os.getpid(),
            pause=str(_pause_image(found["pause"])),
        )
        supervisor = Supervisor(order)
        try:
            supervisor.await_answer()
            node = cls(order.folder, supervisor)
            for archive in images:
                node.load(archive)
        except BaseException:
            supervisor.close()
            raise
        return node

    def load(self, archive: Path) -> list[str]:
        """Load the images of an archive, as `load`."""
        return load(self._folder, archive)

    def complaints(self) -> list[str]:
        """Say what is wrong with the node, as `complaints`."""
        return complaints(self._folder)

    def run_inside(
        self, command: Sequence[str], *, check: bool = True, timeout: float = _RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the node's namespaces and return what it printed; `timeout` in seconds.

        Raises `ClusterError` with its stderr when it fails and `check` is true.
        """
        return inside(self._folder, command, check=check, timeout=timeout)


def load(folder: Folder, archive: Path) -> list[str]:
    """Load the images of an OCI or docker archive into the node of a lab; returns their names.

    Raises `InvalidSpec` when there is no such archive or it holds no image.
    """
    if not archive.is_file():
        raise errors.InvalidSpec(
            f"There is no image archive {archive}; save one with `podman save --format oci-archive`."
        )
    command = ["ctr", "-n", "k8s.io", "images", "import", str(archive.absolute())]
    done = inside(folder, command, check=False)
    if done.returncode:
        raise errors.InvalidSpec(f"containerd could not load {archive}: {done.stderr.strip()[-300:]}")
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("unpacking ")]


def complaints(folder: Folder) -> list[str]:
    """Say, in a sentence each, what keeps the node of a lab from running pods; empty when nothing does."""
    broken = [*trouble.of_disk(folder.root), *trouble.of_components(read_state(folder).components)]
    if broken:
        return broken
    with attach(folder.kubeconfig) as cluster:
        done = cluster.kubectl("get", "nodes,pods", "--all-namespaces", "-o", "json")
    return list(trouble.of_cluster(json.loads(done.stdout)["items"]))


def inside(
    folder: Folder, command: Sequence[str], *, check: bool = True, timeout: float = _RUN_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command in the namespaces of a lab's node; as `Node.run_inside`."""
    enter = ["nsenter", "-t", str(_init(folder)), *_NAMESPACES, "--", *command]
    environment = {**os.environ, "KUBECONFIG": str(folder.kubeconfig)}
    try:
        done = subprocess.run(
            enter,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise errors.ClusterError(f"{command[0]} did not end within {timeout:.0f} s in the node.") from error
    if check and done.returncode:
        raise errors.ClusterError(f"{' '.join(command[:3])} failed in the node: {done.stderr.strip()}")
    return done


def processes(folder: Folder) -> dict[int, int]:
    """Return the processes of a node as this machine numbers them, by the number that they have inside."""
    init = folder.root / "init.pid"
    if not init.is_file():
        return {}
    try:
        space = os.readlink(f"/proc/{init.read_text()}/ns/pid")  # noqa: PTH115 - no path, a name in brackets
    except OSError:
        return {}
    return dict(filter(None, (_numbers(process, space) for process in Path("/proc").glob("[0-9]*"))))


def _numbers(process: Path, space: str) -> tuple[int, int] | None:
    try:
        if os.readlink(process / "ns" / "pid") != space:  # noqa: PTH115 - as above
            return None
        (line,) = (each for each in (process / "status").read_text().splitlines() if each.startswith("NSpid:"))
    except (OSError, ValueError):
        return None
    numbers = line.split()[1:]
    return int(numbers[-1]), int(process.name)


def _init(folder: Folder) -> int:
    """The node's first process. Raises `NotReady` when the lab does not run, or has no node."""
    if not folder.alive:
        raise errors.NotReady(f"There is no running lab in {folder.root}; start one with `anchorline lab up --node`.")
    try:
        return int((folder.root / "init.pid").read_text())
    except (OSError, ValueError) as error:
        raise errors.NotReady(
            f"The lab in {folder.root} has no node; `anchorline lab down`, then `anchorline lab up --node`."
        ) from error


def _pause_image(program: Path) -> Path:
    """Return the archive of the image that every pod needs, made once."""
    archive = places.cache() / "node" / f"{versions.PAUSE.cache_name}.tar"
    with locks.held(archive.with_suffix(".lock"), "another process making the pause image"):
        if not archive.is_file():
            image.single_file(program, archive, settings.PAUSE_IMAGE, platform.machine())
    return archive
