"""The node itself, run for real: pods start on it, and however it ends it leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.lab import eventually

from anchorline import errors
from anchorline.lab import places
from anchorline.lab.node import Node, debian, settings
from anchorline.lab.node.cgroups import hierarchies

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


def cgroups() -> set[Path]:
    return {path for each in hierarchies() for path in each.own.glob("anchorline-lab-*")}


def machine() -> dict[str, str]:
    """What a node could change of this machine: links, addresses, routes, rules, settings, its name."""
    commands = ("ip link", "ip address", "ip route", "nft list ruleset", "hostname")
    seen = {each: subprocess.run(each.split(), capture_output=True, text=True).stdout for each in commands}
    for knob in ("vm/overcommit_memory", "kernel/panic", "net/ipv4/ip_forward", "kernel/keys/root_maxkeys"):
        seen[knob] = (Path("/proc/sys") / knob).read_text()
    return seen


def test_a_pod_starts_and_the_machine_stays_as_it_was(tmp_path: Path) -> None:
    before, there = machine(), cgroups()
    directory = tmp_path / "lab"
    with Node.started(directory=directory) as node:
        assert node.run_inside(["hostname"]).stdout.strip() == settings.NODE
        image = (f"--image={settings.PAUSE_IMAGE}", "--image-pull-policy=Never")
        node.kubectl("run", "quiet", *image)
        node.kubectl("wait", "pod/quiet", "--for=condition=Ready", "--timeout=60s")
        with pytest.raises(errors.InvalidSpec, match=r"could not load .*passwd"):
            node.load(Path("/etc/passwd"))
        assert machine() == before
    assert left_of(directory) == []
    assert machine() == before
    assert cgroups() == there


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_is_left_when_the_caller_is_gone(number: signal.Signals, tmp_path: Path) -> None:
    there = cgroups()
    directory = tmp_path / "lab"
    with start_caller(directory) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "up\n"
        caller.send_signal(number)
    eventually(lambda: left_of(directory) == [] and cgroups() == there, "everything is taken away")


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
