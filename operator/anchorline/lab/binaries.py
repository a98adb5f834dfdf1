"""Finds each program the lab needs: KUBEBUILDER_ASSETS, PATH, the cache; what is nowhere is built and cached."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from anchorline import errors
from anchorline.lab import compile as compiler
from anchorline.lab import places, progress, versions

_ANSWER_SECONDS = 20


def locate(name: str) -> Path:
    """Path of the program `name`, built first when it is nowhere. Raises what `locate_all` raises."""
    return locate_all((name,))[name]


def locate_all(names: Sequence[str]) -> dict[str, Path]:
    """Paths of several programs; those that are nowhere are built one after the other behind one progress display.

    Raises `InvalidSpec` for an unknown name, `NotReady` when something cannot be built.
    """
    wanted = {name: versions.binary(name) for name in names}
    found = {name: present(binary) for name, binary in wanted.items()}
    missing = [wanted[name] for name, path in found.items() if path is None]
    if missing:
        with progress.display() as display:
            for position, binary in enumerate(missing, start=1):
                step = progress.Step(name=binary.name, position=position, total=len(missing))
                found[binary.name] = _built(binary, step, display)
    return {name: path for name, path in found.items() if path is not None}


def _built(binary: versions.Binary, step: progress.Step, display: progress.Display) -> Path:
    try:
        return compiler.compiled(binary, cached(binary), step, display)
    except OSError as error:
        raise errors.NotReady(
            f"The cache folder {places.cache()} cannot be used ({error}); make it writable, or set XDG_CACHE_HOME to a "
            "folder that is."
        ) from error


def present(binary: versions.Binary) -> Path | None:
    """Where the program is on this machine already, in a version that fits; None when it has to be built."""
    for candidate in _candidates(binary.name):
        seen = version_of(binary, candidate)
        if seen and versions.fits(binary.rule, binary.module.version, seen):
            return candidate
    ours = cached(binary)
    return ours if ours.is_file() else None


def cached(binary: versions.Binary) -> Path:
    """Where the program is, or will be, in the per-user cache keyed by version."""
    return places.cache() / "bin" / binary.module.cache_name / binary.name


def version_of(binary: versions.Binary, path: Path) -> versions.Version | None:
    """Return the version that a program says it has; None when it does not answer in time or not sensibly."""
    try:
        done = subprocess.run(
            [path, *binary.question], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return versions.parse(done.stdout + done.stderr) if done.returncode == 0 else None


def _candidates(name: str) -> list[Path]:
    """Programs of that name that the user has, in the order they are looked at."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    places_to_look = [shutil.which(name, path=assets) if assets else None, shutil.which(name)]
    return [Path(path) for path in places_to_look if path]
