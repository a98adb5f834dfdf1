"""A run of the traffic: servers, clients that come and go, and one rotation after the other."""

import os
import random
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.auditor.access import from_kubeconfig
from tests.support.operator import Site, awaited
from tests.support.rotation import Rotation
from tests.traffic import peers
from tests.traffic.kubelet import Kubelet
from tests.traffic.pods import Kind, Pace, Pod, Pods
from tests.traffic.tally import Tally

TICK_SECONDS = 0.05
LOOK_SECONDS = 0.5
ROTATION_SECONDS = 200.0
SPEC: dict[str, Any] = {
    "leaf": {"duration": "30s"},
    "rotation": {"propagation": "10s", "reissueOver": "5s", "overlap": "5s", "waitForPods": True},
}
LAG = "--lag=7"  # the longest delay below, and what it takes to see a change
SERVER_DELAY = (0.0, 5.0)
CLIENT_DELAYS = ((0.0, 1.0), (0.0, 6.0), (4.0, 6.5))
# Leaves of 30 s are renewed with 18 s to go: a machine that is busy delays everybody by seconds.
RENEW_BEFORE = "18s"
TRANSIENTS, LIFE_SECONDS = 3, (4.0, 25.0)
RESTART_WITHIN = 25.0


def _answers(server: peers.Server, roots: Path) -> bool:
    """Whether a server is warm: the first handshake of a Java machine takes seconds."""
    context = ssl.create_default_context(cafile=roots)
    try:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=server.name) as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return bool(tls.recv(1))
    except OSError:
        return False


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:15]) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """Servers and clients of one PrivateCA on one cluster."""

    site: Site
    folder: Path
    stack: ExitStack
    pace: Pace = field(default_factory=Pace)
    tally: Tally = field(default_factory=Tally)
    rotations: int = 0
    _transient: dict[int, float] = field(default_factory=dict)
    _restart: dict[int, float] = field(default_factory=dict)
    _looked: float = 0.0

    def begin(self) -> "Run":
        """Build the programs, make the CA and its namespaces, start servers and clients."""
        peers.build(self.folder)
        self.case = Rotation(self.site.api, spec=SPEC)
        self.case.begin(namespaces=len(CLIENT_DELAYS), certificates=0)
        home = self.case.namespace(certificates=0)
        for each in peers.available():
            self.case.certificate(home, each, renewBefore=RENEW_BEFORE)
        self.case.ready()
        # One namespace has the public roots too, as by default.
        body = {"metadata": {"annotations": {"anchorline.dev/public-roots": None}}}
        self.site.api.merge("Namespace", self.case.namespaces[0], body=body)
        self.kubelet = Kubelet(from_kubeconfig(self.site.plane.kubeconfig), self.folder / "pods")
        self.stack.callback(self.kubelet.end)
        self.servers = [self._server(each, home) for each in peers.available()]
        self._clients()
        return self

    def _server(self, stack: str, namespace: str) -> peers.Server:
        mount = self.kubelet.mount(("Secret", namespace, f"{stack}-tls"), SERVER_DELAY)
        server = peers.Server(stack, f"{stack}.{namespace}.svc", mount.folder, self.folder, self.pace.niceness)
        mount.told = server.swapped
        self.stack.callback(server.end)
        awaited(lambda: _answers(server, mount.folder / "ca.crt"), f"{stack} serves", seconds=90)
        return server

    def _clients(self) -> None:
        names = self.case.namespaces[: len(CLIENT_DELAYS)]
        share = self.pace.share
        targets = [f"{each.name}:{each.port}" for each in self.servers for _ in range(share.get(each.stack, 1))]
        delays = dict(zip(names, CLIENT_DELAYS, strict=True))
        self.pods = Pods(self.site.api, self.kubelet, self.tally, self.folder, targets, self.pace, delays)
        self.stack.callback(self.pods.end_all)
        for number, kind in enumerate(peers.CLIENTS):
            self.pods.start(kind, names[number % len(names)])

    # --- what goes on all the time

    def tick(self) -> None:
        """One turn of everything that has to be done."""
        self.kubelet.check()
        for server in self.servers:
            assert server.running, f"the server {server.stack} has ended; see {self.folder}/servers.log"
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
            self._come_and_go()
        time.sleep(TICK_SECONDS)

    def _look(self) -> None:
        self._looked = time.monotonic()
        phases = [phase for _, phase in sorted(self.case.phases.items(), reverse=True) if phase != "Retired"]
        self.tally.phase = "one root" if len(phases) == 1 else " ".join(phases)

    def _come_and_go(self) -> None:
        """Short-lived clients start at any time; old pods that read once are restarted, one by one, while Retiring."""
        now = time.monotonic()
        for pod in list(self.pods.running):
            if now >= self._transient.get(id(pod), now + 1):
                self._gone(pod)
            elif now >= self._restart.get(id(pod), now + 1):
                self._gone(pod)
                self.pods.start(pod.kind, pod.namespace)
        if len(self._transient) < TRANSIENTS and random.random() < 0.3:
            kind: Kind = random.choice(peers.CLIENTS)
            pod = self.pods.start(kind, random.choice(list(self.pods.delays)))
            self._transient[id(pod)] = now + random.uniform(*LIFE_SECONDS)

    def _gone(self, pod: Pod) -> None:
        self._transient.pop(id(pod), None)
        self._restart.pop(id(pod), None)
        self.pods.end(pod)

    def for_seconds(self, seconds: float) -> None:
        """Let it go on for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tick()

    def end(self) -> str:
        """End all clients, since nobody brings their trust from now on; the report."""
        cpu = self.cpu()
        self.pods.end_all()
        late = f"the kubelet was late by {self.kubelet.latest:.1f} s at most"
        return f"{self.tally.report()}\n{late}; processor seconds: {cpu}"

    def cpu(self) -> str:
        """Seconds of processor time by program, of those that run now."""
        ids = {f"server {server.stack}": server.pid for server in self.servers}
        ids |= {f"{pod.label} {pod.name}": pod.process.pid for pod in self.pods.running}
        return ", ".join(f"{name}: {_seconds(pid):.0f}" for name, pid in ids.items())

    def rotate(self, each: Callable[[], object] = str) -> float:
        """One whole rotation, `each` called at every turn of it; its seconds."""
        self.rotations += 1
        begun = time.monotonic()
        self.case.annotate(rotate=f"traffic {self.rotations}")
        self._until("Distributing Active", begun, each)
        self._until("Active Retiring", begun, each)
        old = [pod for pod in self.pods.running if pod.once and id(pod) not in self._transient]
        self._restart = {id(pod): time.monotonic() + random.uniform(0, RESTART_WITHIN) for pod in old}
        self._until("one root", begun, each)
        return time.monotonic() - begun

    def _until(self, phase: str, begun: float, each: Callable[[], object]) -> None:
        while self.tally.phase != phase:
            assert time.monotonic() - begun < ROTATION_SECONDS, f"not in {phase}: {self.case.says}"
            self.tick()
            each()
