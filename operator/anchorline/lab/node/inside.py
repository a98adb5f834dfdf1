"""The first process of a node: `python -m anchorline.lab.node.inside ORDER`, in namespaces that are new.

It forks a supervisor, as a lab without a node has one, and does nothing but reap after that: the end of this process is
the end of every process in the node.
"""

import datetime as dt
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

from anchorline import errors
from anchorline.lab import supervise
from anchorline.lab.children import Child, Probe
from anchorline.lab.components import Component
from anchorline.lab.node import components, ground, settings
from anchorline.lab.node.order import NodeOrder
from anchorline.lab.ports import Ports

_IMPORT_SECONDS = 120
_PROBE_SECONDS = 5
_FIRST = ("containerd", "etcd", "kube-apiserver")


class NodeProbe(Probe):
    """Asks also what is no HTTPS server."""

    def answers(self, url: str) -> bool:
        """Whether `url` answers 200 now; for containerd, whether its socket is served."""
        if not url.startswith("unix:"):
            return super().answers(url)
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(settings.SOCKET) == 0

    def document(self, url: str) -> dict[str, Any]:
        """Return what `url` answers, empty when it does not answer."""
        try:
            with self._opener.open(url, timeout=_PROBE_SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
            return {}
        return found


class NodeSupervisor(supervise.Supervisor):
    """The components of a lab with a node."""

    def __init__(self, order: NodeOrder, caller: supervise.Caller) -> None:
        self._node_order = order
        super().__init__(order, caller)
        self._nodes = NodeProbe(self._folder)
        self._probe = self._nodes

    def bring_up(self) -> None:
        """Start everything and wait until a pod could start."""
        self._start_all(_FIRST)
        _load(Path(self._node_order.pause))
        self._start_all(tuple(name for name in self._children if name not in _FIRST))
        account = f"{self._server}/api/v1/namespaces/default/serviceaccounts/default"
        self._await("kube-controller-manager", account)
        self._until("kubelet", self._schedulable)
        self._write_state()

    def _start_all(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._children[name].start()
        for name in names:
            self._await(name)

    def _schedulable(self) -> bool:
        """Whether the node is Ready, and the taint that it was born with is gone."""
        node = self._nodes.document(f"{self._server}/api/v1/nodes/{settings.NODE}")
        conditions = node.get("status", {}).get("conditions", ())
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return ready and not node["spec"].get("taints")

    def _components(self, ports: Ports, binaries: dict[str, Path]) -> tuple[Component, ...]:
        now = dt.datetime.fromtimestamp(time.time(), tz=dt.UTC)
        components.material(self._folder, self._server, now)
        settings.write(self._folder)
        return components.all_on_node(self._folder, ports, binaries, fsync=self._order.fsync)

    def _process(self) -> int:
        return self._node_order.outside

    def _obey(self, line: str) -> None:
        if line == "detach":
            self._node_order.detached.touch()
        super()._obey(line)


def _load(archive: Path) -> None:
    """Import images into containerd. Raises `ClusterError` when it refuses them."""
    done = subprocess.run(
        ["ctr", "-n", "k8s.io", "images", "import", archive],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_IMPORT_SECONDS,
    )
    if done.returncode:
        raise errors.ClusterError(f"containerd did not take {archive}: {done.stderr.strip()}")


def _open_door(order: NodeOrder) -> Child:
    """Let the machine in; started as the components are, but none of them."""
    command = (sys.executable, "-m", "anchorline.lab.node.door", str(order.door), str(order.port))
    child = Child(Component(name="door", command=command, port=0, ready_path=""), order.folder)
    child.start(keep=(order.door,))
    return child


def _supervise(order: NodeOrder) -> int:
    """Be the supervisor."""
    caller = supervise.Caller(os.getppid())
    # What the kubelet and containerd write is for containers of any user; the lab's folder guards it.
    os.umask(0o022)
    try:
        ground.lay(order.folder.root)
        _open_door(order)
        supervise.run(order, caller, NodeSupervisor)
    except supervise.Abandoned:
        return 0
    except errors.AnchorlineError as error:
        caller.answer(supervise.error_line(error))
    except OSError as error:
        caller.answer(supervise.error_line(supervise.disk_error(error, order.folder)))
    return 1


def main(argument: str) -> int:
    """Run one node from a `NodeOrder` as JSON; returns the exit code."""
    order = NodeOrder(**json.loads(argument))
    supervisor = os.fork()
    if supervisor == 0:
        os._exit(_supervise(order))
    while True:
        ended, status = os.wait()
        if ended == supervisor:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
