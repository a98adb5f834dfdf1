"""`anchorline plan` on a live cluster: it tells what would be done and does nothing; and errors in one sentence."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.conftest import Scene, a_scene
from tests.support.operator import EXECUTABLE, SYSTEM, Operator, Site, awaited, condition

from anchorline import __version__

pytestmark = pytest.mark.contract


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    command = [str(EXECUTABLE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**base, **environ}, timeout=120)


@pytest.fixture
def stage(site: Site) -> Iterator[Scene]:
    """A scene without an operator."""
    yield from a_scene(site)


def plan(site: Site, *what: str, namespace: str = SYSTEM) -> subprocess.CompletedProcess[str]:
    return run("plan", *what, f"--kubeconfig={site.plane.kubeconfig}", f"--namespace={namespace}")


@pytest.mark.usefixtures("counted")
def test_a_plan_is_printed_and_nothing_is_written(stage: Scene) -> None:
    ca = stage.ca(ready=False)
    stage.certificate(ca)
    stage.trust(ca)
    mark = stage.site.audit.mark()
    done = plan(stage.site)
    assert done.returncode == 0, done.stderr
    assert f"PrivateCA {ca}:\n  create Secret {ca}-root-1: root" in done.stdout
    stage.site.fence()
    written = [event for event in stage.site.audit.since(mark) if event.write and event.user == "anchorline-lab-admin"]
    assert written == []


def test_a_converged_cluster_has_nothing_to_do(stage: Scene) -> None:
    operator = Operator(stage.site)
    try:
        operator.start()
        ca = stage.ca()
        stage.issued(ca)
        stage.trust(f"{ca},nobody")
        stage.event(stage.name, "AuthorityNotFound")
        awaited(
            lambda: "all 1 namespaces" in condition(stage.resource("PrivateCA", ca), "Distributed")["message"],
            "the status of the CA",
        )
        operator.idle()
    finally:
        operator.end()
    assert "nothing to do" in plan(stage.site).stdout
    stage.api.delete("Secret", "web-tls", stage.name)
    done = plan(stage.site).stdout
    assert f"create Secret {stage.name}/web-tls: leaf for DNS:web.{stage.name}.svc" in done
    assert "there is no Secret yet" in done
    for what in ((), ("rotation", ca)):
        astray = plan(stage.site, *what, namespace="default")
        assert (astray.returncode, astray.stdout) == (1, "")
        assert astray.stderr == (
            f"anchorline: namespace default has no Secret of an authority, but {SYSTEM} has: give the operator's"
            " namespace with --namespace\n"
        )


def test_version() -> None:
    done = run("version")
    assert (done.returncode, done.stdout) == (0, f"anchorline {__version__}\n")


@pytest.mark.parametrize("content", ["", "nonsense: [", "apiVersion: v1\nkind: Config\n"])
def test_a_wrong_kubeconfig_is_said_in_one_sentence(tmp_path: Path, content: str) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(content)
    one_sentence(run("plan", f"--kubeconfig={config}"), str(config))


def test_a_missing_kubeconfig_is_said_in_one_sentence(tmp_path: Path) -> None:
    one_sentence(run("plan", f"--kubeconfig={tmp_path}/nowhere"), "nowhere")


def test_nobody_at_home_is_said_in_one_sentence(tmp_path: Path, site: Site) -> None:
    config = json.loads(site.plane.kubectl("config", "view", "--raw", "--flatten", "-o", "json").stdout)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    one_sentence(run("plan", f"--kubeconfig={file}"), "127.0.0.1:9")


@pytest.mark.parametrize("command", [("plan",), ("rotate", "internal", "--reason=none")], ids=["plan", "rotate"])
def test_somebody_without_rights_is_told_what_is_missing(site: Site, command: tuple[str, ...]) -> None:
    config = site.plane.service_account_kubeconfig("default", "default")
    one_sentence(run(*command, f"--kubeconfig={config}"), "system:serviceaccount:default:default", "(403 Forbidden)")


def one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that a command failed with one line that holds these words."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("anchorline: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
