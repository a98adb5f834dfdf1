"""The node without a node: what it asks of a machine, its configuration files, its programs' command lines."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from anchorline import errors
from anchorline.lab.components import Component
from anchorline.lab.folder import Folder
from anchorline.lab.node import cgroups, components, debian, ground, load, outside, settings
from anchorline.lab.node.node import processes
from anchorline.lab.ports import Ports

PORTS = Ports(etcd=1, etcd_peer=2, apiserver=3, controller_manager=4)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(root=tmp_path / "lab")
    made.root.mkdir()
    return made


def test_without_root_one_sentence_names_the_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(errors.NotReady, match=r"needs root.*KUBECONFIG of kind or k3d\.$"):
        debian.require()


def test_elsewhere_than_on_debian_one_sentence_names_the_alternative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    assert debian.why_not() == (
        "A node is made of Debian's packages and this is not Debian; use a cluster that you have: "
        "KUBECONFIG of kind or k3d."
    )


def test_only_packages_that_are_not_installed_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def query(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "runc installed\ncontainerd config-files\n", "no nftables")

    monkeypatch.setattr(subprocess, "run", query)
    assert debian.missing(("runc", "containerd", "nftables")) == ["containerd", "nftables"]


def test_every_configuration_file_can_be_read(folder: Folder) -> None:
    settings.write(folder)
    containerd = tomllib.loads((folder.root / "containerd.toml").read_text())
    assert containerd["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == settings.PAUSE_IMAGE
    for name in ("kubelet.json", "kube-proxy.json", "cni/10-bridge.conflist"):
        assert json.loads((folder.root / name).read_text())
    corefile = (folder.root / "Corefile").read_text()
    assert corefile.count("{") == corefile.count("}") == 3


def test_the_control_plane_is_the_labs_with_what_a_node_needs_besides(folder: Folder) -> None:
    binaries = {name: Path("/bin") / name for name in components.BUILT}
    found = {each.name: each for each in components.all_on_node(folder, PORTS, binaries, fsync=False)}
    assert list(found) == ["containerd", *components.BUILT]
    apiserver = found["kube-apiserver"].command
    assert [word for word in apiserver if word.startswith("--bind-address")] == ["--bind-address=0.0.0.0"]
    assert "--controllers=*" in found["kube-controller-manager"].command
    assert found["kubelet"].ready_url == "http://127.0.0.1:10248/healthz"
    assert found["kube-apiserver"].ready_url == "https://127.0.0.1:3/readyz"


def test_a_flag_is_replaced_and_not_given_twice() -> None:
    plain = Component(name="x", command=("x", "--a-b=1", "--c=2"), port=1, ready_path="/")
    assert plain.with_flags(a_b=3, d=4).command == ("x", "--c=2", "--a-b=3", "--d=4")


def test_a_port_that_is_taken_is_refused_in_one_sentence() -> None:
    with outside.door(None) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.InvalidSpec, match=rf"Port {port} on 127.0.0.1 is taken .*; choose another --port\."):
            outside.door(port)


def test_a_folder_that_the_node_would_hide_from_itself_is_refused() -> None:
    with pytest.raises(errors.InvalidSpec, match="cannot live below /var/lib"):
        ground.private_var(Path("/var/lib/lab"))


def test_cgroups_of_a_crashed_lab_are_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "memory"
    (there / "anchorline-lab-0123").mkdir(parents=True)
    (there / "anchorline-lab-0123" / "cgroup.procs").touch()
    (there / "anchorline-lab-4567").mkdir()
    (there / "anchorline-lab-4567" / "cgroup.procs").write_text("1\n")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [cgroups.Hierarchy("memory", there)])
    made = cgroups.Cgroups(tmp_path / "lab")
    # Files do not go away with their folder here, as a cgroup's do.
    (there / "anchorline-lab-0123" / "cgroup.procs").write_text("")
    made.make()
    (own,) = (each for each in there.iterdir() if each.name not in {"anchorline-lab-0123", "anchorline-lab-4567"})
    made.remove()
    assert not own.exists()
    assert (there / "anchorline-lab-4567").exists()


def test_a_lab_that_does_not_run_has_no_processes_and_takes_no_image(folder: Folder, tmp_path: Path) -> None:
    assert processes(folder) == {}
    archive = tmp_path / "archive.tar"
    with pytest.raises(errors.InvalidSpec, match="There is no image archive"):
        load(folder, archive)
    archive.touch()
    with pytest.raises(errors.NotReady, match="anchorline lab up --node"):
        load(folder, archive)
    (folder.root / "init.pid").write_text(str(os.getpid()))
    assert processes(folder)[os.getpid()] == os.getpid()
