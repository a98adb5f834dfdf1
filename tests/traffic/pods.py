"""Client pods: a program with a mounted trust store; those that read it once are Pod objects too, as injected ones."""

import itertools
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.operator import Api
from tests.traffic import peers
from tests.traffic.kubelet import Kubelet, Mount
from tests.traffic.tally import Tally

BUNDLE = "ca-bundle.crt"
Kind = tuple[str, str]


@dataclass(frozen=True)
class Pace:
    """Milliseconds between two handshakes of one of a client's four loops, and how nice servers and clients are.

    Where they would take all processor time, what they are judged by has to go first: the cluster, and the kubelet that
    brings them their files in time. `patience` is by how much the pause of a stack is longer than that of the others,
    `share` how many of its handshakes a client has with a server: stacks that cost ten times as much may do less.
    """

    milliseconds: int = 150
    niceness: int = 0
    patience: Mapping[str, int] = field(default_factory=dict)
    share: Mapping[str, int] = field(default_factory=dict)

    def pause(self, stack: str) -> int:
        """Milliseconds between two handshakes of a client of this stack."""
        return self.milliseconds * self.patience.get(stack, 1)


@dataclass
class Pod:
    """One running client."""

    kind: Kind
    namespace: str
    name: str
    mount: Mount
    process: subprocess.Popen[str]
    ended: bool = False

    @property
    def once(self) -> bool:
        """Whether it reads its trust only when it starts."""
        return self.kind[1] == "once"

    @property
    def label(self) -> str:
        """What the report calls it."""
        return f"{self.kind[0]} {self.kind[1]}"


@dataclass
class Pods:
    """All clients; `targets` are servers as NAME:PORT."""

    api: Api
    kubelet: Kubelet
    tally: Tally
    built: Path
    targets: list[str]
    pace: Pace
    delays: dict[str, tuple[float, float]]
    running: list[Pod] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def start(self, kind: Kind, namespace: str) -> Pod:
        """Create the pod, mount what is there now, and only then start its process, as a kubelet does."""
        name = f"{kind[0]}-{kind[1]}-{next(self._number)}"
        if kind[1] == "once":
            self._create(name, namespace)
        mount = self.kubelet.mount(("ConfigMap", namespace, "anchorline-trust"), self.delays[namespace])
        bundle = mount.folder / BUNDLE
        command = peers.client(*kind, self.pace.pause(kind[0]), bundle, self.built, self.targets)
        variables = {"SSL_CERT_FILE": str(bundle), "NODE_EXTRA_CA_CERTS": str(bundle)} if kind[1] == "once" else {}
        process = peers.start(command, self.built / "clients.log", self.pace.niceness, **variables)
        pod = Pod(kind, namespace, name, mount, process)
        self.running.append(pod)
        threading.Thread(target=self._listen, args=(pod,), daemon=True).start()
        return pod

    def end(self, pod: Pod) -> None:
        """End the process, then the pod: while it is counted it may run, never the other way round."""
        pod.ended = True
        pod.process.kill()
        pod.process.wait()
        self.running.remove(pod)
        self.kubelet.unmount(pod.mount)
        if pod.once:
            self.api.delete("Pod", pod.name, pod.namespace)

    def end_all(self) -> None:
        """End all of them."""
        for pod in list(self.running):
            self.end(pod)

    def _create(self, name: str, namespace: str) -> None:
        spec = {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 0}
        metadata = {"name": name, "namespace": namespace, "labels": {"anchorline.dev/injected": "true"}}
        self.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})

    def _listen(self, pod: Pod) -> None:
        assert pod.process.stdout is not None
        for line in pod.process.stdout:
            if not pod.ended:
                self.tally.line(pod.label, line)
        if not pod.ended:
            self.tally.broken(pod.label, f"the program ended with {pod.process.wait()}; see {self.built}/clients.log")
