"""The stage of the stories: a node of this machine with images and chart in it, or the user's cluster."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import images
from tests.e2e.given import kubeconfig
from tests.e2e.stage import STORIES, SYSTEM, Stage

from anchorline.lab import Cluster, attach, binaries
from anchorline.lab.node import Node, debian

CHART = images.ROOT / "charts" / "anchorline"
KEPT = images.ROOT / "build" / "e2e"


def pytest_configure(config: pytest.Config) -> None:
    """Forget what the last run kept; the processes of one run keep theirs together."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what a user would have seen, and say plainly what was not told, and why."""
    told = KEPT / STORIES
    terminalreporter.write_line(told.read_text() if told.is_file() else "")
    skipped = (each.longrepr for each in terminalreporter.getreports("skipped"))
    for why in dict.fromkeys(reason for _, _, reason in filter(None, skipped)):
        terminalreporter.write_line(
            f"Left out of the stories on a real node. {why.removeprefix('Skipped: ')}", yellow=True
        )


def _left_out(why: str | None) -> None:
    if why:
        pytest.skip(why)


def _sound(request: pytest.FixtureRequest, cluster: Cluster) -> None:
    """End the run, and take everything down, when the node is why a story failed: the others would wait in vain."""
    broken = cluster.complaints() if isinstance(cluster, Node) else []
    if broken:
        request.session.shouldstop = f"the stories end here: {' '.join(broken)}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A node of our own, else the cluster of KUBECONFIG, into which the user has loaded both images."""
    given = kubeconfig()
    if given:
        with attach(given) as theirs:
            _left_out(images.missing(theirs))
            yield theirs
        return
    _left_out(debian.why_not())
    with Node.started(images=[images.operator(), images.clients()]) as node:
        yield node


@pytest.fixture(scope="session")
def node(cluster: Cluster) -> Node:
    """The same cluster, for stories that look into it from its own network."""
    if not isinstance(cluster, Node):
        pytest.skip("needs a node that the lab started")
    return cluster


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged chart, as a user would have it."""
    target = tmp_path_factory.mktemp("chart")
    subprocess.run([binaries.locate("helm"), "package", CHART, "-d", target], check=True, stdout=subprocess.DEVNULL)
    (package,) = target.glob("*.tgz")
    return package


@pytest.fixture(scope="session")
def bare(cluster: Cluster) -> Stage:
    """The cluster, with the chart in it or not."""
    stage = Stage(cluster, KEPT)
    stage.clear()
    return stage


@pytest.fixture
def stage(request: pytest.FixtureRequest, bare: Stage, chart: Path) -> Iterator[Stage]:
    """The cluster with the chart installed and everything of it ready."""
    _sound(request, bare.cluster)
    if not bare.get("deployment", "anchorline-operator", SYSTEM):
        install(bare, chart)
    yield bare
    _sound(request, bare.cluster)


def install(stage: Stage, chart: Path, *args: str) -> None:
    """Install the chart as a user does, and wait until it works."""
    place = ("--namespace", SYSTEM, "--create-namespace")
    stage.cluster.helm("upgrade", "--install", "anchorline", str(chart), *place, "--wait", "--timeout=180s", *args)
