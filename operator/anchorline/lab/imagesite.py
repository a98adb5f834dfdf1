"""The files of the operator's image: the package and its dependencies for the image's Python, and their SBOM."""

import compileall
import hashlib
import json
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from anchorline import errors

# The lab, and the commands that need it, are for a developer's machine.
_LEFT_OUT = ("anchorline/lab", "anchorline/cli/lab.py", "anchorline/cli/demo")
_SECONDS = 900


def install(source: Path, target: Path, python: str, epoch: int) -> None:
    """Fill `target` from the checkout `source`, for CPython `python` ("3.13") on this kind of machine.

    Raises `NotReady` with pip's last words.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(_dependencies(source, target.parent, python, epoch), target)
    wheels = target.with_name("wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source), epoch=epoch)
    (wheel,) = wheels.glob("anchorline-*.whl")
    _pip("install", *_kind(python), "--no-deps", "--target", str(target), str(wheel), epoch=epoch)
    for name in _LEFT_OUT:
        _remove(target / name)
    _finish(target, python)


def _dependencies(source: Path, folder: Path, python: str, epoch: int) -> Path:
    """Install what we depend on, once for each set of pins."""
    names = tomllib.loads((source / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = source / "constraints.txt"
    key = hashlib.sha256("\n".join([python, platform.machine(), *names, pins.read_text()]).encode()).hexdigest()[:12]
    target = folder / f"dependencies-{key}"
    if not target.is_dir():
        part = target.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        _pip("install", *_kind(python), "--constraint", str(pins), "--target", str(part), *names, epoch=epoch)
        _finish(part, python)
        part.replace(target)
    return target


def _kind(python: str) -> tuple[str, ...]:
    return ("--no-compile", "--implementation", "cp", "--python-version", python, "--only-binary", ":all:")


def _finish(target: Path, python: str) -> None:
    """Leave only what the image is to have, and compile it when this Python is the image's."""
    _remove(target / "bin")
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
