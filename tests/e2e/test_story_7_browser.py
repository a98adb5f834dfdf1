"""Story 7: Chromium in the node's network opens the server's page: a warning without the root, none with it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.browser import Browser
from tests.e2e.stage import SYSTEM, Stage

from anchorline.lab import binaries
from anchorline.lab.node import Node, debian

HOST = "web.shop.svc.cluster.local"
PACKAGES = ("chromium", "libnss3-tools")


def instruction(stage: Stage) -> str:
    """The commands for a browser, as `helm install` prints them."""
    notes = stage.cluster.helm("get", "notes", "anchorline", "--namespace", SYSTEM).stdout
    _, _, rest = notes.partition("For Chromium")
    return "\n".join(line.strip() for line in rest.split("\n\n")[1].splitlines())


def trusting(stage: Stage, home: Path) -> None:
    """Follow it, as a user whose home this is."""
    path = f"{binaries.locate('kubectl').parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**stage.cluster.environment(), "HOME": str(home), "PATH": path}
    subprocess.run(["sh", "-ec", instruction(stage)], cwd=home, env=environment, check=True)


@pytest.fixture(scope="module")
def chromium(node: Node) -> str:
    """Debian's Chromium."""
    assert node.directory.is_dir()
    debian.require_packages(PACKAGES)
    found = shutil.which("chromium")
    assert found
    return found


def test_a_browser_warns_until_it_is_given_the_root(stage: Stage, node: Node, chromium: str, tmp_path: Path) -> None:
    stage.authority("internal")
    stage.namespace("shop", trust="internal")
    stage.server("web", "shop", "internal")
    address = stage.get("service", "web", "shop")["spec"]["clusterIP"]
    seen = {}
    for name in ("without", "with"):
        home = tmp_path / name
        home.mkdir()
        if name == "with":
            trusting(stage, home)
        browser = Browser(node, chromium, home, f"MAP {HOST} {address}")
        seen[name] = browser.picture(f"https://{HOST}/", stage.kept / f"browser-{name}-the-root.png")
    lines = [f"{name} the root: {json.dumps(title)}" for name, title in seen.items()]
    stage.show("Story 7: Chromium", [*lines, "what was printed, and followed:", instruction(stage)])
    assert "Privacy error" in seen["without"]
    assert "Served with a certificate" in seen["with"]
