"""Builds the operator's image, `python -m anchorline.lab.imagebuild`: podman or buildah where there is one, else we do.

Both ways put the same files on a base image; the result is an archive and a bill of materials in build/image.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from anchorline import __version__, errors
from anchorline.lab import image, imagebase, imagesite, locks, places

PACKAGES = ("python3", "ca-certificates")
USER = "65532:65532"
_OFFICIAL = ("python:3.13-slim", "3.13")
_DEBIAN_PYTHON = "3.11"
# The first commit of the project; git's last one where there is git.
_EPOCH = 1_795_392_000
_SECONDS = 1800


def name() -> str:
    """Return the name under which the chart looks for the image."""
    values = yaml.safe_load((places.sources().parent / "charts" / "anchorline" / "values.yaml").read_text())
    return f"{values['image']['repository']}:{values['image']['tag'] or __version__}"


def build(tool: str | None, base: str, python: str) -> Path:
    """Build the image with `tool`, or without one on a Debian base made here; returns the archive.

    Raises `NotReady` when something that is needed cannot be had.
    """
    source = places.sources().parent
    folder = source / "build" / "image"
    folder.mkdir(parents=True, exist_ok=True)
    epoch = _epoch(source)
    archive = folder / "anchorline.tar"
    with locks.held(folder / ".lock", "another process building the image"):
        imagesite.install(source, folder / "site", python if tool else _DEBIAN_PYTHON, epoch)
        imagesite.write_bill(folder / "site", folder / "anchorline.cdx.json")
        if tool:
            _with_tool(tool, base, archive, source, epoch)
        else:
            _by_hand(folder / "site", archive, epoch)
    return archive


def _with_tool(tool: str, base: str, archive: Path, source: Path, epoch: int) -> None:
    """Nothing is fetched in the build itself: the Containerfile only copies."""
    archive.unlink(missing_ok=True)
    verb = ("build",) if tool == "podman" else ("build", "--layers=false")
    command = [tool, *verb, "--network=none", f"--timestamp={epoch}", f"--build-arg=BASE={base}", f"--tag={name()}"]
    _run([*command, "--file=Containerfile", "."], source)
    push = ("save", "--format=oci-archive", f"--output={archive}", name())
    copy = ("push", name(), f"oci-archive:{archive}:{name()}")
    _run([tool, *(push if tool == "podman" else copy)], source)
    image.undate(archive)


def _by_hand(site: Path, archive: Path, epoch: int) -> None:
    """Put one more layer on the Debian base, and the settings that the Containerfile has."""
    with image.scratch(archive) as scratch:
        root = scratch / "root"
        (root / "opt").mkdir(parents=True)
        site.rename(root / "opt" / "anchorline")
        try:
            top = image.layer(root, scratch / "top.tar", epoch=epoch)
        finally:
            (root / "opt" / "anchorline").rename(site)
        layers = [*image.read_layers(imagebase.base(PACKAGES), scratch), top]
        image.write(archive, name(), layers, config(), platform.machine())


def config() -> dict[str, object]:
    """Return the settings of the image, those of the Containerfile."""
    variables = {"PYTHONPATH": "/opt/anchorline", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {
        "Env": [f"PATH={imagebase.PATH}", *(f"{name}={value}" for name, value in variables.items())],
        "WorkingDir": "/",
        "User": USER,
        "Entrypoint": ["python3", "-m", "anchorline"],
        "Cmd": ["--help"],
    }


def _epoch(source: Path) -> int:
    """SOURCE_DATE_EPOCH, else the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    git = ["git", "-C", str(source), "log", "-1", "--format=%ct"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else _EPOCH


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise errors.NotReady(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-600:]}")


def main() -> int:
    """Build, and say what there is now."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    parser.add_argument("--tool", default=next(filter(shutil.which, ("podman", "buildah")), None))
    parser.add_argument("--base", default=_OFFICIAL[0], help="base image, for podman or buildah")
    parser.add_argument("--python", default=_OFFICIAL[1], help="the base image's Python")
    arguments = parser.parse_args()
    try:
        archive = build(arguments.tool or None, arguments.base, arguments.python)
    except errors.AnchorlineError as error:
        print(f"anchorline: {error.message}", file=sys.stderr)
        return 1
    print(f"{name()}\n  {archive} ({archive.stat().st_size / 2**20:.0f} MiB)\n  {archive.with_suffix('.cdx.json')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
