"""The folder of one lab: what lies where, what the supervisor writes about itself, how the folder goes away."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from anchorline import errors
from anchorline.lab import files, locks


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Paths below the folder of one lab."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, JSON lines."""
        return self.root / "audit.log"

    @property
    def admin_token(self) -> Path:
        """The administrator's bearer token."""
        return self.root / "admin.token"

    @property
    def pki(self) -> Path:
        """Certificates and keys, `NAME.crt` and `NAME.key`."""
        return self.root / "pki"

    @property
    def ca(self) -> Path:
        """The CA of everything the lab serves."""
        return self.pki / "ca.crt"

    @property
    def etcd_data(self) -> Path:
        """The etcd data."""
        return self.root / "etcd"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives; also the mark that a folder is a lab's."""
        return self.root / "supervisor.lock"

    @property
    def state(self) -> Path:
        """What the supervisor last wrote about itself."""
        return self.root / "lab.json"

    def log(self, component: str) -> Path:
        """Return what a component wrote to stdout and stderr."""
        return self.root / f"{component}.log"

    @property
    def alive(self) -> bool:
        """Whether a supervisor runs this lab now."""
        return locks.taken(self.lock)

    def remove(self) -> None:
        """Delete everything; a folder that is not a lab's is left alone."""
        if self.lock.is_file():
            shutil.rmtree(self.root, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentState:
    """One component as the supervisor saw it last; `exit_code` is None while it runs."""

    name: str
    pid: int
    port: int
    binary: str
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One lab as its supervisor saw it last; `since` is Unix time."""

    supervisor: int
    server: str
    since: float
    components: tuple[ComponentState, ...]

    def write(self, path: Path) -> None:
        """Replace the state file, whole or not at all."""
        files.write(path, json.dumps(asdict(self), indent=2).encode())


def read_state(folder: Folder) -> State:
    """Read what the supervisor wrote. Raises `NotReady` when there is no lab in the folder, or it is still starting."""
    try:
        raw = json.loads(folder.state.read_text())
    except (OSError, ValueError) as error:
        if folder.alive:
            message = f"The lab in {folder.root} is still starting; wait a moment and try again."
        else:
            message = f"There is no running lab in {folder.root}; start one with `anchorline lab up`."
        raise errors.NotReady(message) from error
    components = tuple(ComponentState(**component) for component in raw.pop("components"))
    return State(**raw, components=components)
