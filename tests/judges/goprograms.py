"""Judges that are written in Go, built with the toolchain that builds the lab's own programs."""

import subprocess
from pathlib import Path

from anchorline.lab import golang


def built(source: str, folder: Path) -> Path:
    """Build one file without further modules; the program."""
    (folder / "judge.go").write_text(source)
    command = [golang.toolchain(), "build", "-o", "judge", "judge.go"]
    done = subprocess.run(command, cwd=folder, env=golang.environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return folder / "judge"
