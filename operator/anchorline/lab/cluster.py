"""A cluster as tests and the demo use it: kubectl, helm, and what a pod of some service account would have."""

import functools
import os
import shutil
import subprocess
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from anchorline import errors
from anchorline.lab import binaries, files, kubeconfig

_RUN_SECONDS = 300.0
_TOKEN_LIFE = "24h"  # noqa: S105 - a duration


class Cluster(ABC):
    """What the lab's own control plane and a cluster of the user's have in common.

    `directory` is a folder for files that live as long as this object.
    """

    kubeconfig: Path
    server: str
    ca_file: Path
    directory: Path
    audit_log: Path | None

    @abstractmethod
    def close(self) -> None:
        """Take away what this object made."""

    @abstractmethod
    def detach(self) -> None:
        """Let what this object made stay after this process."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = _RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator and return what it printed; `timeout` in seconds.

        Raises `ClusterError` with its stderr when it fails and `check` is true.
        """
        return self._run("kubectl", arguments, stdin, check=check, timeout=timeout)

    def helm(
        self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = _RUN_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run helm as the administrator; otherwise as `kubectl`."""
        return self._run("helm", arguments, stdin, check=check, timeout=timeout)

    def service_account_token(self, namespace: str, name: str) -> str:
        """Ask the API server for a token of a service account, good for a day."""
        return self.kubectl("create", "token", name, "-n", namespace, f"--duration={_TOKEN_LIFE}").stdout.strip()

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write a kubeconfig with a fresh token of a service account and return its path."""
        token = self.service_account_token(namespace, name)
        config = kubeconfig.for_token(self.server, self._ca(), token, namespace)
        return kubeconfig.write(self.directory / f"{namespace}.{name}.kubeconfig", config)

    def service_account_directory(self, namespace: str, name: str) -> Path:
        """Write the files `token`, `ca.crt` and `namespace`, as a pod finds them, and return their folder."""
        folder = self.directory / f"{namespace}.{name}.serviceaccount"
        folder.mkdir(mode=0o700, exist_ok=True)
        files.write(folder / "token", self.service_account_token(namespace, name).encode())
        files.write(folder / "ca.crt", self._ca() or b"")
        files.write(folder / "namespace", namespace.encode())
        return folder

    def environment(self) -> dict[str, str]:
        """Return the environment in which `kubectl` and `helm` reach this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def _ca(self) -> bytes | None:
        return self.ca_file.read_bytes() or None

    def _run(
        self, program: str, arguments: tuple[str, ...], stdin: str | None, *, check: bool, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(
                [_located(program), *arguments],
                input=stdin or "",
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise errors.ClusterError(f"{_shown(program, arguments)} did not end within {timeout:.0f} s.") from error
        if check and done.returncode:
            raise errors.ClusterError(f"{_shown(program, arguments)} failed: {done.stderr.strip()}")
        return done


class ExistingCluster(Cluster):
    """A cluster that the user already has; nothing of it is ever started, stopped or removed."""

    audit_log = None

    def __init__(self, config: Path) -> None:
        self.kubeconfig = config
        self.directory = Path(tempfile.mkdtemp(prefix="anchorline-"))
        # Also when nobody closes: there are tokens in it.
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        seen = self.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout
        self.server, ca = kubeconfig.cluster_of(seen)
        self.ca_file = self.directory / "ca.crt"
        self.ca_file.write_bytes(ca or b"")

    def close(self) -> None:
        """Remove the files made for service accounts; nothing after `detach`."""
        self._remove()

    def detach(self) -> None:
        """Let the files stay after this process, for others that need them; `directory` is theirs to remove."""
        self._remove.detach()


def attach(config: Path) -> ExistingCluster:
    """Use the cluster of a kubeconfig. Raises `InvalidSpec` without the file, `ClusterError` when it is of no use."""
    if not config.is_file():
        raise errors.InvalidSpec(f"There is no kubeconfig file {config}; give the path of one that exists.")
    return ExistingCluster(config)


@functools.cache
def _located(program: str) -> Path:
    """A program, looked for once: asking what is on PATH for its version costs more than most commands."""
    return binaries.locate(program)


def _shown(program: str, arguments: tuple[str, ...]) -> str:
    """A command for a message: program and first words, since later ones can be long or secret."""
    return " ".join((program, *arguments[:2]))
