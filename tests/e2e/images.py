"""The images of the stories: the operator's, and one with every runtime that a client is written in."""

import platform
import shutil
import subprocess
from pathlib import Path

from anchorline.lab import golang, image, imagebase, imagebuild, locks, places
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
SOURCES = Path(__file__).with_name("clients")


def operator() -> Path:
    """Return the archive of the operator's image, built anew when something of it has changed."""
    archive = ROOT / "build" / "image" / "anchorline.tar"
    sources = [*(ROOT / "operator").rglob("*.py"), ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    newest = max(path.stat().st_mtime for path in sources)
    if not archive.is_file() or archive.stat().st_mtime < newest:
        imagebuild.build(None, "", "")
    return archive


def clients() -> Path:
    """Return the archive of the clients' image: Debian's runtimes, and the programs of `clients/`."""
    base = imagebase.base(RUNTIMES)
    archive = places.cache() / "images" / "clients.tar"
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
