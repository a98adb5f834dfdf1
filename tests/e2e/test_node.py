"""The node itself, run for real: pods start on it, and however it ends it leaves nothing behind."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.lab import eventually

from anchorline import errors
from anchorline.lab import places
from anchorline.lab.node import Node, debian, settings, trouble
from anchorline.lab.node.cgroups import Cgroups, hierarchies

pytestmark = pytest.mark.skipif(debian.why_not() is not None, reason=debian.why_not() or "")

SOURCE = str(Path(places.__file__).parents[2])
CALLER = """\
import sys, time
from pathlib import Path
from anchorline.lab.node import Node
with Node.started(directory=Path(sys.argv[1])) as node:
    print("up", flush=True)
    time.sleep(600)
"""


NOT_LOADED = (
    "Pod default/absent waits for image nobody.local/absent:1, which is not loaded; `anchorline lab load ARCHIVE`."
)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes, in memory."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def start_caller(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CALLER, str(directory)]
    # A shell that started pytest in the background made it, and this, deaf to Ctrl-C.
    hear = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **hear)  # type: ignore[call-overload,no-any-return]


def left_of(directory: Path) -> list[str]:
    """Name what there still is of a lab: its folder, processes, mounts."""
    found = [str(directory)] if directory.exists() else []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        mine = process.name != str(os.getpid()) and any(str(directory) in word for word in words)
        found += [" ".join(words)] if mine else []
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return found + [line for line in mounts if str(directory) in line]


def cgroups(directory: Path) -> list[Path]:
    """Those of one lab; others may start and end meanwhile."""
    return [root for root in Cgroups(directory).roots if root.exists()]


def machine() -> dict[str, str]:
    """What a node could change of this machine: links, addresses, routes, rules, settings, its name."""
    commands = ("ip link", "ip address", "ip route", "nft list ruleset", "hostname")
    seen = {each: subprocess.run(each.split(), capture_output=True, text=True).stdout for each in commands}
    for knob in ("vm/overcommit_memory", "kernel/panic", "net/ipv4/ip_forward", "kernel/keys/root_maxkeys"):
        seen[knob] = (Path("/proc/sys") / knob).read_text()
    return seen


def test_a_pod_starts_and_the_machine_stays_as_it_was(tmp_path: Path) -> None:
    before = machine()
    directory = tmp_path / "lab"
    with Node.started(directory=directory) as node:
        assert node.run_inside(["hostname"]).stdout.strip() == settings.NODE
        image = (f"--image={settings.PAUSE_IMAGE}", "--image-pull-policy=Never")
        node.kubectl("run", "quiet", *image)
        node.kubectl("wait", "pod/quiet", "--for=condition=Ready", "--timeout=60s")
        with pytest.raises(errors.InvalidSpec, match=r"could not load .*passwd"):
            node.load(Path("/etc/passwd"))
        assert node.complaints() == []
        node.kubectl("run", "absent", "--image=nobody.local/absent:1", "--image-pull-policy=Never")
        eventually(lambda: node.complaints() == [NOT_LOADED], "a sentence names the image that was not loaded")
        assert machine() == before
        assert len(cgroups(directory)) == len(hierarchies())
    assert left_of(directory) == []
    assert machine() == before
    assert cgroups(directory) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_is_left_when_the_caller_is_gone(number: signal.Signals, tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    with start_caller(directory) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "up\n"
        caller.send_signal(number)
    eventually(lambda: left_of(directory) == [] == cgroups(directory), "everything is taken away")


def test_two_nodes_run_side_by_side(tmp_path: Path) -> None:
    with Node.started(directory=tmp_path / "one") as one, Node.started(directory=tmp_path / "two") as two:
        one.kubectl("create", "namespace", "only-here")
        assert "only-here" not in two.kubectl("get", "namespaces").stdout
        two.close()
        assert one.kubectl("get", "--raw", "/readyz").stdout == "ok"


def test_a_port_that_is_taken_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with Node.started(directory=tmp_path / "one") as one:
        port = int(one.server.rpartition(":")[2])
        with pytest.raises(errors.InvalidSpec, match=f"Port {port} .* is taken"):
            Node.started(directory=tmp_path / "two", port=port)
        assert left_of(tmp_path / "two") == []


def test_a_disk_that_is_too_small_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", trouble.DISK_BYTES // 2) as disk:
        with pytest.raises(errors.NotReady, match=r"needs 3\.0 GiB of free disk below .* and there is 1\.5 GiB; free"):
            Node.started(directory=disk / "lab")
        assert list(disk.iterdir()) == []


def test_a_disk_that_fills_up_is_said_and_everything_goes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", trouble.DISK_BYTES + 2**20) as disk:
        with Node.started(directory=disk / "lab") as node:
            fill(disk / "ballast", leave=2**29)
            eventually(
                lambda: complains(node, "Node lab-node runs out of disk;"), "the kubelet tells of it", seconds=60
            )
            fill(disk / "more", leave=0)
            assert complains(node, f"The disk of {disk / 'lab'} is full:")
        assert left_of(disk / "lab") == []
    assert cgroups(disk / "lab") == []


def test_a_program_that_is_killed_is_said(tmp_path: Path) -> None:
    """As by a kernel without memory."""
    with Node.started(directory=tmp_path / "lab") as node:
        node.stop("kubelet", kill=True)
        assert complains(node, "kubelet was killed, as by a machine without memory;")
    assert left_of(tmp_path / "lab") == []


def test_too_little_memory_is_one_sentence(tmp_path: Path) -> None:
    """In a cgroup that gets no more, as a container would be."""
    (memory,) = (each.own for each in hierarchies() if "memory" in each.controllers.split(","))
    narrow = memory / "anchorline-test-narrow"
    narrow.mkdir()
    try:
        (narrow / "memory.limit_in_bytes").write_text(str(2**29))
        join = f'echo $$ > {narrow}/cgroup.procs; exec "$@"'
        command = [sys.executable, "-m", "anchorline", "lab", "up", "--node", "--dir", str(tmp_path / "lab")]
        done = subprocess.run(["sh", "-c", join, "sh", *command], capture_output=True, text=True, timeout=120)
    finally:
        eventually(lambda: not (narrow / "cgroup.procs").read_text(), "the cgroup is empty")
        narrow.rmdir()
    assert done.returncode == 1
    assert re.fullmatch(r"anchorline: A node needs 1\.2 GiB of free memory and there is 0\.5 GiB; .*\n", done.stderr)
    assert not (tmp_path / "lab").exists()


def test_a_kernel_without_memory_for_its_start_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """The node's own cgroup gets no more than a fraction of what it takes, as soon as there is one."""
    (memory,) = (root for root in Cgroups(tmp_path / "lab").roots if "memory" in root.parts)
    command = [sys.executable, "-m", "anchorline", "lab", "up", "--node", "--dir", str(tmp_path / "lab")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as start:
        eventually(memory.exists, "the node's cgroup")
        (memory / "memory.limit_in_bytes").write_text(str(150 * 2**20))
        said = start.communicate(timeout=120)[1]
    assert start.returncode == 1
    sentence = "anchorline: [a-z-]+ was killed, as by a machine without memory, instead of becoming ready; end .*"
    assert re.fullmatch(sentence, said.splitlines()[-1])
    assert left_of(tmp_path / "lab") == []
    assert cgroups(tmp_path / "lab") == []


def fill(ballast: Path, *, leave: int) -> None:
    """Take what is free on a disk, but for `leave` bytes; the node writes too, so it is asked for until it is had."""
    with ballast.open("wb") as file:
        while (wanted := shutil.disk_usage(ballast.parent).free - leave) > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, wanted)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                return


def complains(node: Node, words: str) -> bool:
    return any(each.startswith(words) for each in node.complaints())
