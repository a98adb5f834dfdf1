"""`anchorline demo` run as a stranger runs it: what it must show, and that nothing is left however it ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.lab import needs_own

from anchorline.lab import ControlPlane

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]
DEMO_SECONDS = 400
MARK = "ANCHORLINE_DEMO_TEST"


def start(mark: str, *flags: str, **variables: str) -> subprocess.Popen[str]:
    """Start a demo whose processes can all be told by a variable of their environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.Popen(
        [sys.executable, "-m", "anchorline", "demo", *flags],
        env={**inherited, MARK: mark, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def marked(mark: str) -> list[str]:
    """Commands of all processes that a demo with this mark has started, itself included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in variables and words != [b""]:
            found.append(b" ".join(words[:5]).decode(errors="replace"))
    return found


def gone(mark: str, seconds: float = 20.0) -> list[str]:
    """What is left of a demo after a while; nothing, when all is well."""
    end = time.monotonic() + seconds
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return marked(mark)


def read_until(demo: subprocess.Popen[str], words: str) -> str:
    """Read what the demo prints until a line with these words."""
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if words in line:
            return "".join(seen)
    pytest.fail(f"the demo ended without a word of {words!r}:\n{''.join(seen)}")


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> Iterator[str]:
    """A mark of one test; what a failed test leaves is killed."""
    needs_own("starts labs for demos")
    value = f"{request.node.name}-{os.getpid()}"
    yield value
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={value}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def test_the_whole_story_is_true(mark: str) -> None:
    demo = start(mark, "--fast")
    text, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, text
    for shown in (
        "STATUS: deployed",
        "certificate.anchorline.dev/web condition met",
        "CN=Acme Internal Root 1,O=Acme  (trusted root",
        "curl: (60) SSL certificate problem",
        "SSLCertVerificationError",
        "anchorline.dev/injected=true",
        "SSL_CERT_FILE REQUESTS_CA_BUNDLE",
        "curl: hello over TLS",
        "python: hello over TLS",
        "lodge did not ask: its pod is not patched",
        "all other writes        0",
        "DNS name login.bank.svc is not one of namespace shop",
        "root 1 Retired, root 2 Active",
        "and its key is deleted",
    ):
        assert shown in text, f"{shown!r} is missing in:\n{text}"
    assert re.search(r"✓ 0 failed of \d{3,} handshakes by \d+ clients", text), text
    assert "✗" not in text
    assert "PRIVATE KEY" not in text
    assert gone(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_demo_that_is_ended_in_the_middle(
    mark: str, number: signal.Signals, tmp_path: Path
) -> None:
    demo = start(mark, "--skip-rotation", TMPDIR=str(tmp_path))
    read_until(demo, "A namespace asks for trust")
    assert any("webhook" in command for command in marked(mark))
    demo.send_signal(number)
    demo.communicate(timeout=60)
    assert demo.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert gone(mark) == []
    assert list(tmp_path.glob("anchorline-lab-*")) == []


def everything(plane: ControlPlane) -> set[str]:
    """Names of all that a demo might leave in a cluster; events end by themselves."""
    kinds = (
        "namespaces,crds,clusterroles,clusterrolebindings,mutatingwebhookconfigurations"
        ",validatingadmissionpolicies,validatingadmissionpolicybindings,secrets,configmaps"
    )
    return set(plane.kubectl("get", kinds, "-A", "-o", "name").stdout.split())


def test_a_cluster_of_the_users_is_left_as_it_was(mark: str) -> None:
    with ControlPlane.started() as plane:
        flags = ("--skip-rotation", f"--kubeconfig={plane.kubeconfig}")
        before = everything(plane)
        text, _ = (demo := start(mark, *flags)).communicate(timeout=DEMO_SECONDS)
        assert demo.returncode == 0, text
        assert "resourceVersions are compared instead" in text
        assert "python: hello over TLS" in text
        assert everything(plane) == before
        plane.kubectl("create", "namespace", "shop")
        text, _ = (demo := start(mark, *flags)).communicate(timeout=DEMO_SECONDS)
        assert demo.returncode == 1, text
        assert "namespace shop already; the demo touches nothing that exists" in text
        assert everything(plane) == before | {"namespace/shop", "configmap/kube-root-ca.crt"}
    assert gone(mark) == []


def test_what_is_kept_on_a_cluster_of_the_users_is_taken_away_by_the_commands_that_are_printed(mark: str) -> None:
    with ControlPlane.started() as plane:
        before = everything(plane)
        flags = ("--skip-rotation", "--keep", f"--kubeconfig={plane.kubeconfig}")
        text, _ = (demo := start(mark, *flags)).communicate(timeout=DEMO_SECONDS)
        assert demo.returncode == 0, text
        folder = Path(re.findall(r"tail -f (\S+)/demo/operator.log", text)[0])
        assert "leading" in (folder / "demo" / "operator.log").read_text()
        assert list(folder.glob("*/token")), "the processes that go on read their tokens again"
        assert any("operator" in command for command in marked(mark))
        commands = text.partition("take everything away from the cluster:")[2]
        subprocess.run(["sh", "-e"], input=commands, env=plane.environment(), text=True, check=True, timeout=180)
        assert everything(plane) == before
        assert gone(mark) == []
        assert not folder.exists()


def test_a_kept_demo_goes_on_until_its_lab_is_ended(mark: str, tmp_path: Path) -> None:
    demo = start(mark, "--skip-rotation", "--keep", XDG_STATE_HOME=str(tmp_path))
    text, _ = demo.communicate(timeout=DEMO_SECONDS)
    assert demo.returncode == 0, text
    assert "anchorline lab down --name demo" in text
    left = marked(mark)
    for part in ("keeper", "operator", "webhook", "kube-apiserver"):
        assert any(part in command for command in left), left
    down = [sys.executable, "-m", "anchorline", "lab", "down", "--name", "demo"]
    subprocess.run(down, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}, check=True, timeout=60)
    assert gone(mark) == []
