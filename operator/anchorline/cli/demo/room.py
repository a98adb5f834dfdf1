"""The room in which a container's command runs here: its variables, its mounted ConfigMaps, its Services' names.

There is no container runtime on a bare control plane, but a mount namespace of Linux gives a process what a pod would:
files at the pod's own paths, and an /etc/hosts of its own. Nothing outside the room sees any of it.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RUN_SECONDS = 30.0
# $1: a scratch folder, $2: the hosts file, then pairs of folder and mount path, "--", and the command.
_SCRIPT = """
set -e
mount -t tmpfs none "$1"; mkdir "$1/upper" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
mount --bind "$2" /etc/hosts; shift 2
while [ "$1" != -- ]; do mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; done
shift; exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a process finds: variables, and folders by the path at which they are mounted."""

    names: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the room. Never raises for what the command does."""
        with tempfile.TemporaryDirectory(prefix="anchorline-room-") as scratch:
            hosts = Path(scratch) / "hosts"
            hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in self.names))
            (Path(scratch) / "layer").mkdir()
            return _run(self._command(Path(scratch) / "layer", hosts, command))

    def _command(self, layer: Path, hosts: Path, command: tuple[str, ...]) -> list[str]:
        pairs = [part for path, folder in self.mounts.items() for part in (str(folder), path)]
        variables = {"PATH": path(), "HOME": str(layer), "LANG": "C.UTF-8", **self.variables}
        bare = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command]
        return [*entrance(), "sh", "-c", _SCRIPT, "sh", str(layer), str(hosts), *pairs, "--", *bare]


def path() -> str:
    """Where commands are looked for: this Python first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def entrance() -> list[str]:
    """How a mount namespace is entered: as root directly, else as root of a user namespace."""
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


@functools.cache
def missing() -> str:
    """Why there are no rooms on this machine, "" when there are."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return "this machine has no `unshare` (Linux, util-linux)"
    done = Room(names=()).run("true")
    return f"this machine allows no mount namespace: {done.stderr.strip()}" if done.returncode else ""


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {RUN_SECONDS:.0f} s")
