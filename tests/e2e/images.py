"""The images of the stories: the operator's, and one with every runtime that a client is written in."""

import json
import platform
import shutil
import subprocess
import time
from itertools import chain
from pathlib import Path

from anchorline.lab import Cluster, golang, image, imagebase, imagebuild, locks, places
from anchorline.lab.node import debian

CLIENTS = "anchorline.local/clients:1"
RUNTIMES = (
    "ca-certificates",
    "curl",
    "wget",
    "openssl",
    "python3",
    "perl",
    "libwww-perl",
    "liblwp-protocol-https-perl",
    "ruby",
    "nodejs",
    "openjdk-17-jre-headless",
)
ROOT = Path(__file__).resolve().parents[2]
_OPERATOR = ROOT / "build" / "image" / "anchorline.tar"
_NAMED_AT_MOST = 50
_TELLING_SECONDS = 15.0
SOURCES = Path(__file__).with_name("clients")


def missing(cluster: Cluster) -> str | None:
    """Say which image a user's cluster has not been given; a kubelet may take ten seconds to tell of a new one."""
    end = time.monotonic() + _TELLING_SECONDS
    while (absent := _absent(cluster)) and time.monotonic() < end:
        time.sleep(1)
    return absent


def _absent(cluster: Cluster) -> str | None:
    """As far as nodes tell: they name the 50 largest images that they have."""
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    listed = [node["status"].get("images", []) for node in nodes]
    if any(len(each) >= _NAMED_AT_MOST for each in listed):
        return None
    names = [set(chain.from_iterable(image["names"] for image in each)) for each in listed]
    for name, archive in ((imagebuild.name(), _OPERATOR), (CLIENTS, _clients())):
        if not all(name in each for each in names):
            return (
                f"Image {name} is not loaded in the cluster of KUBECONFIG; load {archive}, which `make image` and a run"
                " of the stories on a node make (kind load image-archive, k3d image import)."
            )
    return None


def _clients() -> Path:
    return places.cache() / "images" / "clients.tar"


def operator() -> Path:
    """Return the archive of the operator's image, built anew when something of it has changed."""
    archive = _OPERATOR
    sources = [*(ROOT / "operator").rglob("*.py"), ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    sources.append(ROOT / "charts" / "anchorline" / "values.yaml")  # it names the image
    newest = max(path.stat().st_mtime for path in sources)
    if not archive.is_file() or archive.stat().st_mtime < newest:
        imagebuild.build(None, "", "")
    return archive


def clients() -> Path:
    """Return the archive of the clients' image: Debian's runtimes, and the programs of `clients/`."""
    base = imagebase.base(RUNTIMES)
    archive = _clients()
    newest = max(path.stat().st_mtime for path in (*SOURCES.rglob("*"), base))
    with locks.held(archive.with_suffix(".lock"), "another process making the clients' image"):
        if not archive.is_file() or archive.stat().st_mtime <= newest:
            _make(base, archive)
    return archive


def _make(base: Path, archive: Path) -> None:
    with image.scratch(archive) as folder:
        _programs(folder / "root" / "opt" / "clients")
        top = image.layer(folder / "root", folder / "top.tar", epoch=0)
        config = {"Env": [f"PATH={imagebase.PATH}"], "Cmd": ["sleep", "infinity"]}
        image.write(archive, CLIENTS, [*image.read_layers(base, folder), top], config, platform.machine())


def _programs(target: Path) -> None:
    target.mkdir(parents=True)
    for path in SOURCES.glob("*.*"):
        shutil.copy(path, target)
    go = [golang.toolchain(), "build", "-trimpath", "-ldflags", "-s -w", "-o", target / "client-go", "."]
    subprocess.run(go, cwd=SOURCES / "go", env=golang.environment(), check=True)
    if not shutil.which("javac"):
        debian.require_packages(("openjdk-17-jdk-headless",))
    subprocess.run(["javac", "--release", "17", "-d", target, SOURCES / "Client.java"], check=True)
