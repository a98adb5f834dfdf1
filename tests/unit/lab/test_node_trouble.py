"""What is said of a node that cannot work: a sentence each, with what to do."""

import shutil
import subprocess
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from anchorline import errors
from anchorline.lab.folder import ComponentState
from anchorline.lab.node import cgroups, debian, trouble

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil's own
ELSEWHERE = "use a cluster that you have"


def test_too_little_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 2**29))
    with pytest.raises(errors.NotReady) as refused:
        trouble.require_room(tmp_path / "not" / "yet", ELSEWHERE)
    assert refused.value.message == (
        f"A node needs 3.0 GiB of free disk below {tmp_path}/not/yet and there is 0.5 GiB; free some room,"
        " choose another --dir, or use a cluster that you have."
    )


def test_too_little_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    (tmp_path / "memory.stat").write_text(f"cache 1\nhierarchical_memory_limit {2**28}\n")
    monkeypatch.setattr(trouble, "hierarchies", lambda: [cgroups.Hierarchy("cpu,memory", tmp_path)])
    with pytest.raises(errors.NotReady, match=r"needs 1\.2 GiB of free memory and there is 0\.2 GiB; end other"):
        trouble.require_room(tmp_path, ELSEWHERE)


def test_a_machine_with_room_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))
    monkeypatch.setattr(trouble, "available_memory", lambda: 2**33)
    trouble.require_room(tmp_path, ELSEWHERE)


def test_only_cgroup_v2_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    assert debian.why_not() == (
        "A node needs cgroup v1 (or hybrid) and this machine has only cgroup v2; use a cluster that you have: "
        "KUBECONFIG of kind or k3d."
    )


@pytest.mark.parametrize(
    ("writable", "said", "reason"),
    [
        (False, "", "/sys/fs/cgroup/memory is not writable"),
        (True, "unshare: unshare failed: Operation not permitted", "unshare: unshare failed: Operation not permitted"),
    ],
)
def test_root_in_a_container_that_is_not_privileged_is_told_why(
    monkeypatch: pytest.MonkeyPatch, writable: bool, said: str, reason: str
) -> None:
    monkeypatch.setattr(debian.os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(debian.os, "access", lambda *_: writable)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", f"{said}\n"))
    monkeypatch.setattr(debian, "_confined", debian._confined.__wrapped__)
    assert debian.why_not() == (
        f"A node needs namespaces and cgroups of its own, and root may not make them here ({reason}); use a cluster "
        "that you have: KUBECONFIG of kind or k3d."
    )


def test_a_full_disk_is_said_before_what_follows_from_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, 0))
    assert list(trouble.of_disk(tmp_path)) == [
        f"The disk of {tmp_path} is full: free some room and start the lab anew, or with another --dir."
    ]


def test_programs_that_ended_are_named() -> None:
    states = [
        ComponentState(name=name, pid=1, port=1, binary="/bin/x", exit_code=code)
        for name, code in (("etcd", None), ("kubelet", -9), ("kube-proxy", 2))
    ]
    killed, ended = trouble.of_components(states)
    assert killed.startswith("kubelet was killed, as by a machine without memory;")
    assert ended.startswith("kube-proxy ended with exit code 2;")


def a_pod(**status: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"namespace": "shop", "name": "web"}, "status": status}


def a_node(**conditions: str) -> dict[str, Any]:
    told = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {"kind": "Node", "metadata": {"name": "n"}, "status": {"conditions": told}}


def waiting(reason: str) -> list[dict[str, Any]]:
    return [{"image": "shop/web:1", "state": {"waiting": {"reason": reason}}}]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (a_node(Ready="True", DiskPressure="True"), "Node n runs out of disk; free some room,"),
        (a_node(MemoryPressure="True"), "Node n runs out of memory; end other programs;"),
        (a_pod(reason="Evicted", message="The node was low on resource"), "Pod shop/web was evicted: The node was low"),
        (a_pod(containerStatuses=waiting("ErrImageNeverPull")), "Pod shop/web waits for image shop/web:1, which is"),
        (a_pod(initContainerStatuses=waiting("ImagePullBackOff")), "Pod shop/web waits for image shop/web:1, which"),
    ],
)
def test_what_the_api_server_tells_is_one_sentence(seen: dict[str, Any], said: str) -> None:
    (sentence,) = trouble.of_cluster([seen])
    assert sentence.startswith(said)


def test_a_node_and_pods_that_are_well_are_not_spoken_of() -> None:
    well = a_pod(containerStatuses=[{"image": "x", "state": {"running": {}}}])
    starting = a_pod(containerStatuses=waiting("ContainerCreating"))
    assert list(trouble.of_cluster([a_node(Ready="True", DiskPressure="False"), well, starting, a_pod()])) == []


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """The commands of Debian's that are given; the first installation finds one that was killed."""
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], *, stdout: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        assert (tmp_path / "policy-rc.d").exists()
        commands.append(tuple(command[:2]))
        broken = command[1] == "install" and ("dpkg", "--configure") not in commands
        stdout.write("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'" if broken else "")
        return subprocess.CompletedProcess(command, int(broken))

    monkeypatch.setattr(debian, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(debian, "missing", list)
    monkeypatch.setattr(debian.places, "cache", lambda: tmp_path)
    monkeypatch.setattr(subprocess, "run", run)
    debian._update.cache_clear()
    return commands


def test_an_installation_that_was_killed_is_brought_to_its_end(apt: list[tuple[str, ...]]) -> None:
    debian.require_packages(("runc",))
    install = ("apt-get", "install")
    assert apt == [("apt-get", "update"), install, ("dpkg", "--configure"), install]


def test_what_a_killed_run_left_keeps_no_service_from_starting_later(
    apt: list[tuple[str, ...]], tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    for left, kept in (("", False), (debian._NO_SERVICES, False), ("#!/bin/sh\nexit 0\n", True)):
        if left:
            policy.write_text(left)
        debian.require_packages(("runc",))
        assert policy.exists() is kept
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert apt
