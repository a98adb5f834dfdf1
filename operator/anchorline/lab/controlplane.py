"""A Kubernetes control plane of our own, as a value that tests, the demo and `anchorline lab` hold."""

import os
import select
import signal
from pathlib import Path
from typing import Self

from anchorline import errors
from anchorline.lab import binaries, components, places
from anchorline.lab.cluster import Cluster
from anchorline.lab.folder import Folder, read_state
from anchorline.lab.order import Order
from anchorline.lab.supervisor import Supervisor

_DEADLINE_SECONDS = 120.0
_DOWN_SECONDS = 120.0  # a node has many files to remove


class ControlPlane(Cluster):
    """etcd, kube-apiserver and kube-controller-manager on loopback, all in one folder.

    It ends with `close`, with the `with` block, or with the process that started it, however that dies.
    """

    audit_log: Path

    def __init__(self, folder: Folder, supervisor: Supervisor) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self.directory = folder.root
        self.kubeconfig = folder.kubeconfig
        self.ca_file = folder.ca
        self.audit_log = folder.audit_log
        self.server = read_state(folder).server

    @classmethod
    def started(
        cls,
        *,
        directory: Path | None = None,
        fsync: bool = False,
        port: int | None = None,
        deadline: float = _DEADLINE_SECONDS,
    ) -> Self:
        """Start a control plane and wait until it works, at most `deadline` seconds for each component.

        `directory` must be new or empty (default: a temporary one) and is removed at the end; `fsync` makes etcd's
        data survive a loss of power; `port` is the API server's (default: a free one). Programs that are not on this
        machine are built first, which takes minutes.

        Raises `InvalidSpec` for a folder or port that is in use, `NotReady` when a program cannot be had or the disk is
        full, `ClusterError` when a component does not come up.
        """
        found = binaries.locate_all(components.NAMES)
        order = Order(
            directory=str((directory or places.scratch()).absolute()),
            binaries={name: str(path) for name, path in found.items()},
            fsync=fsync,
            port=port,
            deadline=deadline,
            caller=os.getpid(),
        )
        supervisor = Supervisor(order)
        try:
            supervisor.await_answer()
            return cls(order.folder, supervisor)
        except BaseException:
            supervisor.close()
            raise

    @property
    def admin_token(self) -> str:
        """A bearer token of the group system:masters."""
        return self._folder.admin_token.read_text()

    def stop(self, component: str, *, kill: bool = False) -> None:
        """Stop one component, politely or with SIGKILL. Raises `InvalidSpec` for one that there is not."""
        self._supervisor.tell(f"{'kill' if kill else 'stop'} {self._known(component)}")

    def start(self, component: str) -> None:
        """Start a stopped component again, on the same port and data, and wait until it is ready.

        Raises `InvalidSpec` for a component that there is not, `ClusterError` when it does not come up.
        """
        self._supervisor.tell(f"start {self._known(component)}")

    def detach(self) -> None:
        """Let the control plane run on after this process, until `down` of its folder."""
        self._supervisor.release()

    def close(self) -> None:
        """Stop everything and remove the folder; nothing after `detach`."""
        self._supervisor.close()

    def _known(self, component: str) -> str:
        names = [each.name for each in read_state(self._folder).components]
        if component not in names:
            raise errors.InvalidSpec(f"The lab has no component {component!r}; it has {', '.join(names)}.")
        return component

    def environment(self) -> dict[str, str]:
        """Return an environment in which kubectl and helm keep their own files in the lab's folder too."""
        helm = self.directory / "helm"
        return {
            **super().environment(),
            "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
            "HELM_CACHE_HOME": str(helm / "cache"),
            "HELM_CONFIG_HOME": str(helm / "config"),
            "HELM_DATA_HOME": str(helm / "data"),
        }


def down(folder: Folder) -> bool:
    """End the lab in `folder` and remove it; False when there was none. Raises `ClusterError` when it does not end."""
    if not folder.lock.is_file():
        return False
    if folder.alive:
        _end(read_state(folder).supervisor, folder)
    folder.remove()
    return True


def _end(supervisor: int, folder: Folder) -> None:
    """Ask a supervisor to end and wait until its process is gone; its folder goes a moment before."""
    process = os.pidfd_open(supervisor)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended, _, _ = select.select([process], [], [], _DOWN_SECONDS)
    finally:
        os.close(process)
    if not ended:
        raise errors.ClusterError(
            f"The lab in {folder.root} did not end within {_DOWN_SECONDS:.0f} s; end process {supervisor} by hand."
        )
