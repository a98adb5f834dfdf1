"""Runs the auditor beside a test, as the separate program that it is."""

import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 180.0  # what it has not judged yet, it judges first


class Beside:
    """One auditor process; it ends with the test's process, however that ends."""

    def __init__(self, kubeconfig: Path, *options: str) -> None:
        command = [sys.executable, "-m", "tests.auditor", f"--kubeconfig={kubeconfig}", "--with-parent", *options]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self._said: list[str] = []

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        self._said.append(self._process.stdout.readline().strip())
        assert self._said == ["watching"], self._rest()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        """Whether it goes on: it ends at the first violation."""
        return self._process.poll() is None

    def violation(self, seconds: float) -> str:
        """Wait for a violation, and return what it says."""
        code = self._process.wait(seconds)
        said = self._rest()
        assert code == 1, said
        return said

    def silent(self) -> str:
        """End it; its counts when it has found nothing. Fails the test with what it found otherwise."""
        self._process.terminate()
        code = self._process.wait(END_SECONDS)
        said = self._rest()
        assert code == 0, said
        return self._said[-1]

    def _rest(self) -> str:
        assert self._process.stdout is not None
        self._said += self._process.stdout.read().splitlines()
        return "\n".join(self._said)
