"""The files of the operator's image: the package and its dependencies for the image's Python, and their SBOM."""

import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from anchorline import errors

# The lab, and the commands that need it, are for a developer's machine.
_LEFT_OUT = ("bin", "anchorline/lab", "anchorline/cli/lab.py", "anchorline/cli/demo")
_SECONDS = 900


def install(source: Path, target: Path, python: str, epoch: int) -> None:
    """Fill `target` from the checkout `source`, for CPython `python` ("3.13") on this kind of machine.

    Raises `NotReady` with pip's last words.
    """
    shutil.rmtree(target, ignore_errors=True)
    wheels = target.with_name("wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source), epoch=epoch)
    (wheel,) = wheels.glob("anchorline-*.whl")
    kind = ("--implementation", "cp", "--python-version", python, "--only-binary", ":all:")
    pinned = ("--constraint", str(source / "constraints.txt"))
    _pip("install", "--no-compile", *kind, *pinned, "--target", str(target), str(wheel), epoch=epoch)
    for name in _LEFT_OUT:
        _remove(target / name)
    _forget_how(target)
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        _compile(target)


def bill(site: Path) -> dict[str, Any]:
    """Return the CycloneDX bill of materials of what is installed below `site`, from its metadata."""
    found = sorted(metadata.distributions(path=[str(site)]), key=lambda each: each.metadata["Name"].lower())
    components = [_component(each) for each in found]
    (own,) = (each for each in components if each["name"] == "anchorline")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": [each for each in components if each is not own],
    }


def write_bill(site: Path, path: Path) -> None:
    """Write the bill of materials of `site`, the same bytes for the same content."""
    path.write_text(json.dumps(bill(site), indent=2, sort_keys=True) + "\n")


def _component(distribution: metadata.Distribution) -> dict[str, Any]:
    name, version = distribution.metadata["Name"], distribution.version
    place = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    component: dict[str, Any] = {"type": "library", "name": name, "version": version, "purl": place, "bom-ref": place}
    told = distribution.metadata.json
    expression, words = str(told.get("license_expression", "")), str(told.get("license", ""))
    if expression:
        component["licenses"] = [{"expression": expression}]
    elif words and "\n" not in words:
        component["licenses"] = [{"license": {"name": words}}]
    return component


def _forget_how(target: Path) -> None:
    """Remove what says where and how a package was installed: it differs from machine to machine."""
    for name in ("direct_url.json", "RECORD", "REQUESTED", "INSTALLER"):
        for path in target.glob(f"*.dist-info/{name}"):
            path.unlink()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _compile(target: Path) -> None:
    """Compile ahead: the image's file system cannot be written to. By hash, so that no date gets in."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        target, quiet=2, stripdir=str(target), prependdir="/opt/anchorline", invalidation_mode=mode, workers=1
    )


def _pip(*arguments: str, epoch: int) -> None:
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise errors.NotReady(f"pip {arguments[0]} did not end within {_SECONDS} s.") from error
    if done.returncode:
        raise errors.NotReady(f"pip {arguments[0]} failed: {done.stderr.strip()[-600:]}")
