"""What the operator does when its cluster breaks: it waits, says so, goes on, and misses nothing."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.conftest import Scene, a_scene, reissued, serial
from tests.support.lab import needs_own
from tests.support.operator import EXECUTABLE, SYSTEM, Operator, Site, awaited, condition
from tests.support.site import a_site

from anchorline.lab import ControlPlane

pytestmark = pytest.mark.contract
CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator on a control plane that tests may break."""
    needs_own("breaks the API server and etcd")
    with a_site(tmp_path_factory.mktemp("faults")) as site:
        process = Operator(site, "pod-fragile")
        try:
            yield process.start()
        finally:
            process.end()


@pytest.fixture
def stage(fragile: Operator) -> Iterator[Scene]:
    """A scene there."""
    if not fragile.running:
        fragile.start()
    yield from a_scene(fragile.site)


def control_plane(site: Site) -> ControlPlane:
    assert isinstance(site.plane, ControlPlane)
    return site.plane


def works(stage: Scene, operator: Operator, ca: str, name: str) -> None:
    """Assert that a new Certificate is issued by the very process that was there before."""
    awaited(lambda: operator.running and operator.leads, "it leads again", seconds=60)
    stage.certificate(ca, name)
    stage.ready("Certificate", name, seconds=60)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_the_api_server_is_away_for_a_while(stage: Scene, fragile: Operator, kill: bool) -> None:
    ca = stage.ca()
    before = stage.issued(ca)
    stage.trust(ca)
    awaited(
        lambda: "all 1 namespaces" in condition(stage.resource("PrivateCA", ca), "Distributed")["message"],
        "the store is counted",
    )
    fragile.idle()
    plane = control_plane(stage.site)
    mark = stage.site.audit.mark()
    plane.stop("kube-apiserver", kill=kill)
    awaited(lambda: "cache of" in fragile.log and "waits" in fragile.log, "the log says that it waits")
    assert fragile.get("/healthz")[0] in (200, 503), "it answers its probes without an API server"
    plane.start("kube-apiserver")
    works(stage, fragile, ca, "after")
    assert serial(stage.secret()) == serial(before)
    written = [event for event in stage.site.writes(mark) if event.name not in ("after", "after-tls")]
    assert written == [], "that it was away costs no writes"


def test_etcd_is_away_for_a_while(stage: Scene, fragile: Operator) -> None:
    ca = stage.ca()
    before = stage.issued(ca)
    plane = control_plane(stage.site)
    plane.stop("etcd", kill=True)
    plane.start("etcd")
    works(stage, fragile, ca, "after")
    assert serial(stage.secret()) == serial(before)


def test_what_was_deleted_while_the_watch_was_broken_is_found(stage: Scene, fragile: Operator) -> None:
    """The operator stands still while the server restarts and objects go: its watches are answered with a 410."""
    ca = stage.ca()
    before = stage.issued(ca)
    plane = control_plane(stage.site)
    fragile.suspend()
    try:
        stage.api.delete("Secret", "web-tls", stage.name)
        plane.stop("kube-apiserver")
        plane.start("kube-apiserver")
    finally:
        fragile.go_on()
    reissued(stage, before)
    assert "cannot go on watching secrets: too old resource version" in fragile.log
    works(stage, fragile, ca, "after")


def test_the_crds_are_deleted_and_come_back(stage: Scene, fragile: Operator) -> None:
    """With the CRDs go all PrivateCAs: those that say Retain keep their keys, and are taken up again."""
    ca = stage.ca(deletionPolicy="Retain")
    before = stage.api.get("Secret", f"{ca}-root-1", SYSTEM)
    fragile.kill()
    plane = stage.site.plane
    plane.kubectl("delete", "crd", "privatecas.anchorline.dev", "certificates.anchorline.dev", "--timeout=60s")
    try:
        fragile.spawn()
        awaited(lambda: "certificates" in fragile.get("/readyz")[1], "/readyz says what is missing", seconds=90)
        assert fragile.get("/readyz")[0] == 503
        tells_that_crds_are_missing(stage.site)
    finally:
        plane.kubectl("apply", "--server-side", "-f", str(CRDS))
    awaited(lambda: fragile.running and fragile.leads, "it leads when they are there", seconds=90)
    stage.put_ca(ca)
    stage.ready("PrivateCA", ca)
    works(stage, fragile, ca, "after")
    assert (stage.api.get("Secret", f"{ca}-root-1", SYSTEM) or {})["data"] == (before or {})["data"]


def test_a_ca_that_another_version_wrote_keeps_no_others_waiting(stage: Scene, fragile: Operator) -> None:
    """A newer CRD knew a phase that this operator does not: it says so, and does not end."""
    ca, newer = stage.ca(), stage.ca()
    plane, name = stage.site.plane, "privatecas.anchorline.dev"
    crd = json.loads(plane.kubectl("get", "crd", name, "-o", "json").stdout)
    generations = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    del generations["generations"]["items"]["properties"]["phase"]["enum"]
    plane.kubectl("replace", "-f", "-", stdin=json.dumps(crd))
    fragile.kill()
    patch = json.dumps([{"op": "replace", "path": "/status/generations/0/phase", "value": "Resting"}])
    command = ("patch", "privateca", newer, "--subresource=status", "--type=json", "-p", patch)
    awaited(lambda: plane.kubectl(*command, check=False).returncode == 0, "the CRD takes the phase")
    try:
        fragile.start()
        stage.trust(f"{newer},{ca}")
        stage.issued(ca)
        awaited(lambda: stage.labelled, "the roots that can be read arrive")
        assert "status.generations[0].phase must be one of" in stage.event(newer, "InvalidSpec")
        assert f"{newer}-root-1" in [each["metadata"]["name"] for each in stage.api.list("Secret", SYSTEM)]
    finally:
        plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))


def tells_that_crds_are_missing(site: Site) -> None:
    """Assert that `anchorline plan` says so in one sentence."""
    command = [str(EXECUTABLE), "plan", f"--kubeconfig={site.plane.kubeconfig}", f"--namespace={SYSTEM}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("are the CRDs installed?\n")
    assert done.stderr.count("\n") == 1


def test_it_starts_before_the_api_server(stage: Scene, fragile: Operator) -> None:
    assert fragile.stop() == 0
    plane = control_plane(stage.site)
    plane.stop("kube-apiserver")
    process = Operator(stage.site, "pod-eager")
    try:
        process.spawn()
        awaited(lambda: process.get("/readyz")[0] == 503, "it is not ready", seconds=90)
        plane.start("kube-apiserver")
        awaited(lambda: process.running and process.leads, "it leads when the server is there", seconds=90)
        works(stage, process, stage.ca(), "web")
    finally:
        if not plane_answers(stage.site):
            plane.start("kube-apiserver")
        process.end()


def plane_answers(site: Site) -> bool:
    return site.plane.kubectl("get", "--raw", "/readyz", check=False).returncode == 0


def test_a_port_that_is_taken_is_said(stage: Scene, fragile: Operator) -> None:
    process = Operator(stage.site, "pod-double")
    try:
        process.spawn(port=fragile.port)
        awaited(lambda: not process.running, "it ends")
        port = f"127.0.0.1:{fragile.port}"
        assert f"cannot listen on {port}: Address already in use; choose another port with --health-port" in process.log
        assert "Traceback" not in process.log
    finally:
        process.end()
