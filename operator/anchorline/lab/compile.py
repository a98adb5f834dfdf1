"""Builds one program from its pinned Go module into the cache, once, however many ask for it at the same time."""

import contextlib
import errno
import os
import selectors
import shutil
import subprocess
from collections import deque
from dataclasses import replace
from pathlib import Path

from anchorline import errors
from anchorline.lab import golang, locks, places, progress, versions

_LAST_LINES = 15
_TICK_SECONDS = 1.0
_ROOM_BYTES = 1_000_000_000


def compiled(binary: versions.Binary, target: Path, step: progress.Step, display: progress.Display) -> Path:
    """Build `binary` to `target` unless another process just did; `target` appears whole or not at all.

    Raises `NotReady` when there is no Go, no source, no room on the disk, or the build fails.
    """
    module = binary.module.cache_name
    with locks.held(target.parent / ".lock", f"another process building {module}"):
        if not target.is_file():
            _require_room(target.parent)
            _build(binary, target, step, display)
    return target


def _require_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < _ROOM_BYTES:
        raise errors.NotReady(f"The disk of {folder} has less than 1 GB free, too little to build in; free some room.")


def _build(binary: versions.Binary, target: Path, step: progress.Step, display: progress.Display) -> None:
    """Run `go build` beside `target`, then rename: Go's own cache keeps what an interrupted build had finished."""
    go = golang.toolchain()
    source = places.sources() / binary.module.folder
    part = target.with_suffix(".part")
    display.show(step)
    step = replace(step, packages=_packages(go, source, binary.package))
    flags = ["-mod=readonly", "-trimpath", "-v", "-ldflags", binary.module.ldflags]
    try:
        _run([str(go), "build", *flags, "-o", str(part), binary.package], source, step, display)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _packages(go: Path, source: Path, package: str) -> int:
    """Count the packages a program is made of, for the display; 0 when Go cannot tell (the build will say why)."""
    done = subprocess.run(
        [go, "list", "-mod=readonly", "-deps", package],
        cwd=source,
        env=golang.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return len(done.stdout.splitlines())


def _run(command: list[str], source: Path, step: progress.Step, display: progress.Display) -> None:
    """Run a build, feeding the display. Raises `NotReady` with the last lines of its output."""
    said: deque[str] = deque(maxlen=_LAST_LINES)
    go = subprocess.Popen(
        command, cwd=source, env=golang.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _follow(go, said, step, display)
        code = go.wait()
    except BaseException:
        go.kill()
        go.wait()
        raise
    if code:
        raise errors.NotReady(_failure(step.name, source, said))


def _follow(go: subprocess.Popen[bytes], said: deque[str], step: progress.Step, display: progress.Display) -> None:
    """Read the build's output until it ends: bare package names are progress, anything else is kept for an error."""
    if go.stdout is None:
        return
    with selectors.DefaultSelector() as selector, contextlib.closing(go.stdout) as output:
        selector.register(output, selectors.EVENT_READ)
        while True:
            display.show(step)
            if not selector.select(_TICK_SECONDS):
                continue
            chunk = os.read(output.fileno(), 65536)
            if not chunk:
                return
            lines = chunk.decode(errors="replace").splitlines()
            talk = [line for line in lines if " " in line]
            said.extend(talk)
            step = replace(step, compiled=step.compiled + len(lines) - len(talk))


def _failure(name: str, source: Path, said: deque[str]) -> str:
    words = "\n".join(said)
    if os.strerror(errno.ENOSPC).lower() in words.lower():
        return f"The disk is full: {name} could not be built; free some room (a first build needs about 5 GB)."
    return f"Building {name} from {source} failed; Go said:\n{words}"
