"""The lab itself, run for real: it comes up, works like a cluster, and leaves nothing behind however it ends."""

import argparse
import http.client
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from tests.support.lab import eventually, needs_own

from anchorline import errors
from anchorline.cli import lab as command
from anchorline.lab import AuditLog, ControlPlane, attach, controlplane, places
from anchorline.lab.folder import Folder, read_state

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("the_lab")]

ADMIN = "anchorline-lab-admin"
CALLER = """\
import sys, time
from pathlib import Path
from anchorline.lab import ControlPlane
with ControlPlane.started(directory=Path(sys.argv[1])) as plane:
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def the_lab() -> None:
    """Skips what starts labs where somebody wants to see a cluster of theirs tried."""
    needs_own("tries the lab itself")


def start_caller(directory: Path) -> subprocess.Popen[str]:
    source = str(Path(controlplane.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, str(directory)],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(directory: Path) -> list[int]:
    state = read_state(Folder(root=directory))
    return [state.supervisor, *(component.pid for component in state.components)]


def test_a_namespace_is_made_gets_its_service_account_and_is_deleted(own_plane: ControlPlane) -> None:
    own_plane.kubectl("create", "namespace", "lab-short-lived")
    eventually(
        lambda: own_plane.kubectl("get", "sa", "default", "-n", "lab-short-lived", check=False).returncode == 0,
        "the default service account",
    )
    own_plane.kubectl("delete", "namespace", "lab-short-lived", "--wait", "--timeout=60s")
    assert "lab-short-lived" not in own_plane.kubectl("get", "namespaces").stdout


def test_an_owned_object_goes_with_its_owner(own_plane: ControlPlane) -> None:
    own_plane.kubectl("create", "configmap", "owner")
    owner = json.loads(own_plane.kubectl("get", "configmap", "owner", "-o", "json").stdout)["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    metadata = {"name": "owned", "ownerReferences": [reference]}
    owned = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    own_plane.kubectl("create", "-f", "-", stdin=json.dumps(owned))
    own_plane.kubectl("delete", "configmap", "owner")
    eventually(
        lambda: own_plane.kubectl("get", "configmap", "owned", check=False).returncode != 0, "garbage collection"
    )


def test_the_audit_log_counts_writes_by_user_verb_and_resource(own_plane: ControlPlane) -> None:
    log = AuditLog(own_plane.audit_log)
    mark = log.mark()
    for name in ("counted-1", "counted-2"):
        own_plane.kubectl("create", "configmap", name)
    own_plane.kubectl("create", "configmap", "counted-3", "--dry-run=server")
    own_plane.kubectl("create", "configmap", "counted-4", "--as=someone", check=False)
    own_plane.kubectl("delete", "configmap", "counted-1", "counted-2", "--wait=false")
    eventually(lambda: log.writes_by(ADMIN, mark).total() == 4, "four writes in the audit log")
    assert log.writes_by(ADMIN, mark) == {("create", "configmaps"): 2, ("delete", "configmaps"): 2}
    (refused,) = log.since(mark, user="someone", verbs={"create"})
    assert (refused.code, refused.resource, refused.namespace) == (403, "configmaps", "default")


def test_a_service_account_gets_its_token_as_kubeconfig_and_as_files(own_plane: ControlPlane) -> None:
    own_plane.kubectl("create", "serviceaccount", "reader")
    config = own_plane.service_account_kubeconfig("default", "reader")
    assert config.stat().st_mode & 0o777 == 0o600
    with attach(config) as cluster:
        assert cluster.server == own_plane.server
        who = json.loads(cluster.kubectl("auth", "whoami", "-o", "json").stdout)
        assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:reader"
        with pytest.raises(errors.ClusterError, match="forbidden"):
            cluster.kubectl("get", "secrets")
    files = own_plane.service_account_directory("default", "reader")
    assert sorted(file.name for file in files.iterdir()) == ["ca.crt", "namespace", "token"]
    assert (files / "ca.crt").read_bytes() == own_plane.ca_file.read_bytes()


def test_the_admin_token_is_as_good_as_the_certificate(own_plane: ControlPlane, tmp_path: Path) -> None:
    config = yaml.safe_load(own_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": own_plane.admin_token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with attach(tmp_path / "kubeconfig") as cluster:
        assert cluster.kubectl("auth", "can-i", "*", "*").stdout.strip() == "yes"


def test_nobody_else_reads_what_is_in_etcd(own_plane: ControlPlane) -> None:
    """It is asked through a file that only the owner may open; its port tells its health, and that only to the lab."""
    folder = Folder(root=own_plane.directory)
    assert stat.S_ISSOCK((folder.root / "etcd.sock").stat().st_mode)
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    (etcd,) = (each for each in read_state(folder).components if each.name == "etcd")
    stranger = ssl.create_default_context(cafile=folder.ca)
    member = ssl.create_default_context(cafile=folder.ca)
    member.load_cert_chain(folder.pki / "admin.crt", folder.pki / "admin.key")

    def asked(path: str, context: ssl.SSLContext) -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", etcd.port, context=context, timeout=10)
        with closing(connection):
            connection.request("POST" if path.startswith("/v3") else "GET", path, body=b'{"key": "Lw=="}')
            return connection.getresponse().status

    assert asked("/health", member) == 200
    assert asked("/v3/kv/range", member) == 404
    # The refusal, or the closed connection that comes with it, whichever is read first.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        asked("/health", stranger)


def test_helm_reaches_the_cluster_and_keeps_its_files_in_the_lab(own_plane: ControlPlane) -> None:
    assert "NAMESPACE" in own_plane.helm("list", "-A").stdout
    assert own_plane.environment()["HELM_CACHE_HOME"].startswith(str(own_plane.directory))


@pytest.mark.parametrize("component", ["kube-apiserver", "etcd"])
def test_a_component_stopped_and_started_again_has_its_address_and_its_data(
    own_plane: ControlPlane, component: str
) -> None:
    name = f"before-{component}"
    own_plane.kubectl("create", "configmap", name)
    before = read_state(Folder(root=own_plane.directory))
    own_plane.stop(component, kill=component == "etcd")
    own_plane.start(component)
    after = read_state(Folder(root=own_plane.directory))
    assert [c.port for c in before.components] == [c.port for c in after.components]
    assert {b.name for b, a in zip(before.components, after.components, strict=True) if b.pid != a.pid} == {component}
    assert own_plane.kubectl("get", "configmap", name).returncode == 0


def test_a_component_that_there_is_not_is_refused(own_plane: ControlPlane) -> None:
    with pytest.raises(errors.InvalidSpec, match="kubelet"):
        own_plane.stop("kubelet")


def test_two_side_by_side_do_not_see_each_other(own_plane: ControlPlane) -> None:
    with ControlPlane.started() as other:
        assert other.server != own_plane.server
        other.kubectl("create", "namespace", "only-in-the-other")
        assert "only-in-the-other" not in own_plane.kubectl("get", "namespaces").stdout
        running, directory = pids(other.directory), other.directory
        assert all(alive(pid) for pid in running)
    assert not any(alive(pid) for pid in running)
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: signal.Signals(number).name)
def test_nothing_is_left_when_the_caller_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    directory = tmp_path / "lab"
    with start_caller(directory) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "up\n"
        running = pids(directory)
        caller.send_signal(number)
        caller.wait(30)
    eventually(lambda: not any(alive(pid) for pid in running), "every process of the lab gone")
    eventually(lambda: not directory.exists(), "the lab's folder gone")


def test_nothing_is_left_when_the_caller_is_killed_during_the_start(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    folder = Folder(root=directory)
    with start_caller(directory) as caller:
        eventually(lambda: folder.log("kube-apiserver").exists(), "the API server being started")
        caller.kill()
        caller.wait(30)
    eventually(lambda: not directory.exists(), "the lab's folder gone")
    assert str(directory) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def lab(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.register(parser.add_subparsers())
    chosen = parser.parse_args(["lab", *arguments])
    code: int = chosen.func(chosen)
    return code


def test_the_command_brings_a_lab_up_once_tells_about_it_and_takes_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = Folder(root=places.lab("default"))
    assert lab("status") == 1
    assert lab("up") == 0
    running = pids(folder.root)
    assert f"export KUBECONFIG={folder.kubeconfig}" in capsys.readouterr().out
    assert lab("up") == 0
    assert "already up" in capsys.readouterr().out
    assert pids(folder.root) == running
    port = next(c.port for c in read_state(folder).components if c.name == "kube-apiserver")
    assert lab("up", "--name", "other", "--port", str(port)) == 1
    assert f"Port {port} on 127.0.0.1 is taken" in capsys.readouterr().err
    assert lab("status") == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("etcd", "kube-apiserver", "kube-controller-manager", "1.37.", "MiB"))
    assert lab("down") == 0
    assert not folder.root.exists()
    assert not any(alive(pid) for pid in running)
    assert lab("down") == 0


def test_a_folder_with_something_in_it_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("keep")
    assert lab("up", "--dir", str(tmp_path)) == 1
    assert "is not empty; give the lab a folder of its own" in capsys.readouterr().err
    assert lab("down", "--dir", str(tmp_path)) == 0
    assert (tmp_path / "mine").read_text() == "keep"


def test_the_components_die_with_a_killed_supervisor_and_the_folder_can_be_taken_down(tmp_path: Path) -> None:
    with ControlPlane.started(directory=tmp_path / "lab") as plane:
        plane.detach()
    supervisor, *components = pids(plane.directory)
    assert all(alive(pid) for pid in (supervisor, *components))
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in components), "every component gone")
    assert controlplane.down(Folder(root=plane.directory))
    assert not plane.directory.exists()
