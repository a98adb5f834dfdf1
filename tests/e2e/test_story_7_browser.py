"""Story 7: Chromium in the node's network opens the server's page: a warning without the root, none with it."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.browser import Browser
from tests.e2e.stage import Stage

from anchorline.lab.node import Node, debian

HOST = "web.shop.svc.cluster.local"
PACKAGES = ("chromium", "libnss3-tools")


def trusting(home: Path, root: Path) -> None:
    """Put a root into a home's NSS store, by the instruction that a user is given."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    database = ["-d", f"sql:{store}"]
    subprocess.run(["certutil", "-N", *database, "--empty-password"], check=True)
    subprocess.run(["certutil", "-A", *database, "-t", "C,,", "-n", "Acme Internal", "-i", root], check=True)


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
    secret = stage.get("secret", "web-tls", "shop")
    root = tmp_path / "root.pem"
    root.write_bytes(base64.b64decode(secret["data"]["ca.crt"]))
    seen = {}
    for name in ("without", "with"):
        home = tmp_path / name
        home.mkdir()
        if name == "with":
            trusting(home, root)
        browser = Browser(node, chromium, home, f"MAP {HOST} {address}")
        seen[name] = browser.picture(f"https://{HOST}/", stage.kept / f"browser-{name}-the-root.png")
    stage.show("Story 7: Chromium", [f"{name} the root: {json.dumps(title)}" for name, title in seen.items()])
    assert "Privacy error" in seen["without"]
    assert "Served with a certificate" in seen["with"]
