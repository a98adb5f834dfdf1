"""Starts the components as children that cannot outlive their parent, looks whether they are ready, ends them."""

import ctypes
import http.client
import os
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections import deque
from pathlib import Path

from anchorline import errors
from anchorline.lab.components import Component
from anchorline.lab.folder import Folder

_PR_SET_PDEATHSIG = 1
_PROBE_SECONDS = 5
_TERM_SECONDS = 3
_LAST_LINES = 8

# Looked up before any fork, so that nothing is loaded between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One component and its process, which may be stopped and started again on the same port."""

    def __init__(self, component: Component, folder: Folder) -> None:
        self.component = component
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """How the process ended; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether there is a living process."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, keep: tuple[int, ...] = ()) -> None:
        """Start the process, which inherits the open files `keep`.

        Raises `ClusterError` when it cannot be started at all.
        """
        with self._folder.log(self.component.name).open("ab") as log:
            try:
                # The supervisor has one thread, so running code between fork and exec is safe here.
                self._process = subprocess.Popen(
                    self.component.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder.root,
                    preexec_fn=die_with_parent,  # noqa: PLW1509
                    start_new_session=True,
                    pass_fds=keep,
                )
            except OSError as error:
                raise errors.ClusterError(f"{self.component.command[0]} could not be started: {error}.") from error

    def stop(self, *, kill: bool = False) -> None:
        """End the process: asked first, unless `kill`; killed after 3 seconds, since open watches hold a server up."""
        if self._process is None:
            return
        if not kill:
            self._process.terminate()
            try:
                self._process.wait(_TERM_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            else:
                return
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Return the end of the log, for an error message."""
        with self._folder.log(self.component.name).open(errors="replace") as log:
            return "".join(deque(log, maxlen=_LAST_LINES)).strip()


class Probe:
    """Asks the components whether they are ready, as the administrator."""

    def __init__(self, folder: Folder) -> None:
        self._tls = ssl.create_default_context(cafile=folder.ca)
        self._tls.load_cert_chain(folder.pki / "admin.crt", folder.pki / "admin.key")
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )

    def answers(self, url: str) -> bool:
        """Whether `url` answers 200 now."""
        # Always https on loopback: the URLs are made in components.py.
        try:
            with self._opener.open(url, timeout=_PROBE_SECONDS) as answer:
                return bool(answer.status == http.HTTPStatus.OK)
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return False


def resident_bytes(pid: int) -> int | None:
    """Memory of a process that is in RAM now, in bytes; None when it is gone or the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return None
    return int(status[1]) * os.sysconf("SC_PAGE_SIZE")


def die_with_parent() -> None:
    """Between fork and exec: ask the kernel to kill this process when its parent dies, however it dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
