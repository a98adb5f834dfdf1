"""Chapter 7: a root is replaced under running traffic, and no handshake fails."""

import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from anchorline.api import naming
from anchorline.cli.demo import clients, issue, progress, stacks
from anchorline.cli.demo.kubelet import Kubelet, Watch
from anchorline.cli.demo.leash import Leashed, Order
from anchorline.cli.demo.progress import Progress
from anchorline.cli.demo.scene import LIVE, Object, Scene
from anchorline.cli.demo.stacks import Target
from anchorline.cli.demo.stage import require
from anchorline.cli.demo.traffic import Traffic
from anchorline.cli.demo.waiting import until

CA = "live"
PROPAGATION, LAG = 5, 3.5
DEADLINE_SECONDS = 300.0
SERVICES = ("front", "back")


@dataclass(slots=True, kw_only=True)
class Play:
    """What runs in this chapter."""

    scene: Scene
    kubelet: Kubelet
    authority: Watch
    traffic: Traffic
    targets: list[Target]
    readers: "list[Reader]" = field(default_factory=list)


def play(scene: Scene, stack: ExitStack, *, fast: bool) -> None:
    """Start servers and clients, ask for a new root, watch until the old one is gone, count."""
    stage = scene.stage
    stage.chapter("A root is replaced under running traffic")
    life = 30 if fast else 45
    _prepare(scene, life)
    with ExitStack() as inner:
        running = _start(scene, inner, stack)
        stage.ran("kubectl", "annotate", "privateca", CA, f"{naming.ROTATE_ANNOTATION}=demo")
        scene.cluster.kubectl("annotate", "privateca", CA, f"{naming.ROTATE_ANNOTATION}=demo")
        began = time.monotonic()
        _watch(running, began)
        seconds = time.monotonic() - began
    _judge(running, seconds)


# --- before


def _prepare(scene: Scene, life: int) -> None:
    stage = scene.stage
    stage.note(
        f"times as short as they go: leaves live {life} s, propagation {PROPAGATION} s (defaults: 30 days, 10 min)"
    )
    manifests = [_ca(life), *(_namespace(each) for each in LIVE)]
    manifests += [_certificate(namespace, service) for namespace in LIVE for service in SERVICES]
    stage.came(scene.apply(*manifests, shown="live.yaml"))
    for namespace in LIVE:
        waits = ("wait", "-n", namespace, "--for=condition=Ready", "acert", "--all", "--timeout=30s")
        scene.kubectl(*waits, shown=False)
    until(lambda: _labelled(scene) >= set(LIVE), "the namespaces of the traffic have their trust stores")


def _labelled(scene: Scene) -> set[str]:
    """Namespaces that have their trust store."""
    found = scene.read("namespaces", "-l", f"{naming.TRUST}={naming.TRUST_ENABLED}")
    return {each["metadata"]["name"] for each in found.get("items", [])}


def _ca(life: int) -> Object:
    rotation = {"propagation": f"{PROPAGATION}s", "reissueOver": "5s", "overlap": "5s"}
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "PrivateCA",
        "metadata": {"name": CA},
        "spec": {"subject": {"commonName": "Acme Live"}, "leaf": {"duration": f"{life}s"}, "rotation": rotation},
    }


def _namespace(name: str) -> Object:
    metadata = {"name": name, "annotations": {naming.TRUST: CA}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _certificate(namespace: str, service: str) -> Object:
    return {
        "apiVersion": naming.API_VERSION,
        "kind": "Certificate",
        "metadata": {"name": service, "namespace": namespace},
        "spec": {
            "caRef": {"name": CA},
            "secretName": f"{service}-tls",
            "dnsNames": [f"{service}.{namespace}.svc"],
        },
    }


def _start(scene: Scene, inner: ExitStack, outer: ExitStack) -> Play:
    """Start the kubelet's work, servers, and clients, and wait until all of them have shaken hands."""
    kubelet = Kubelet(scene, outer, authority=CA, lag=LAG)
    authority = Watch(scene, outer, "privateca", CA)
    wanted = [(each, f"{service}-tls") for each in LIVE for service in SERVICES]
    wanted += [(each, naming.TRUST_STORE) for each in LIVE]
    until(lambda: all(kubelet.mounted(*each).exists() for each in wanted), "Secrets and trust stores are mounted")
    targets = _serve(scene, outer, kubelet)
    running = Play(
        scene=scene,
        kubelet=kubelet,
        authority=authority,
        traffic=Traffic(scene.folder, inner),
        targets=targets,
    )
    _clients(running)
    _reader(running, "python", "north", "first", old=True)
    _reader(running, "node", "south", "first", old=True)
    tally = running.traffic.tally
    until(lambda: set(running.traffic.clients) >= set(_alive(running)), "each client has shaken hands")
    require(not tally.failures, f"handshakes fail before anything is replaced: {tally.failures[:3]}")
    scene.stage.came(
        f"servers: {', '.join(str(each) for each in targets)}\nclients: {', '.join(running.traffic.clients)}"
    )
    scene.stage.note(
        f"a stand-in for the kubelet brings each changed Secret and ConfigMap after up to {LAG} s, as one changed link"
    )
    scene.stage.note("read-once clients belong to pods that the API server knows; a new pod is a new process")
    return running


def _serve(scene: Scene, stack: ExitStack, kubelet: Kubelet) -> list[Target]:
    """Serve `front` by Python and `back` by Node, where there is one."""
    ports = {"front": issue.serve(scene, stack, kubelet.folder)}
    ports["back"] = _serve_node(scene, stack, kubelet.folder) if stacks.node() else ports["front"]
    return [Target(f"{service}.{namespace}.svc", ports[service]) for namespace in LIVE for service in SERVICES]


def _serve_node(scene: Scene, stack: ExitStack, folder: Path) -> int:
    command = [stacks.node(), "-e", stacks.NODE_SERVER, str(folder)]
    order = Order(name="node", command=command, log=str(scene.folder / "server.log"))
    server = Leashed(order, stdout=subprocess.PIPE)
    stack.callback(server.kill)
    answer = server.words.readline().strip()
    require(answer, f"the Node server did not start:\n{server.last_words()}")
    return int(answer)


def _bundle(running: Play, namespace: str) -> Path:
    return running.kubelet.mounted(namespace, naming.TRUST_STORE) / naming.FULL_BUNDLE


def _clients(running: Play) -> None:
    targets = running.targets
    running.traffic.start("python rereads", stacks.rereading(_bundle(running, "north"), targets))
    for number, stack in enumerate(stacks.singles()):
        bundle = _bundle(running, LIVE[number % len(LIVE)])

        def single(turn: int, stack: str = stack, bundle: Path = bundle) -> tuple[list[str], dict[str, str]]:
            return stacks.single(stack, bundle, targets[turn % len(targets)])

        running.traffic.repeat(stack, single)


# --- pods whose process reads its trust once


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A pod with a client that reads its trust once; `old` when it began before the new root could be read."""

    name: str
    stack: str
    namespace: str
    old: bool


def _reader(running: Play, stack: str, namespace: str, when: str, *, old: bool) -> None:
    """Create a pod, and start its process with the trust store as it is mounted in its namespace now."""
    stack = stack if stack == "python" or stacks.node() else "python"
    reader = Reader(name=f"{stack}-once-{when}", stack=stack, namespace=namespace, old=old)
    manifest = clients.as_json(clients.pod(reader.name, namespace, {stack: ["true"]}))
    running.scene.cluster.kubectl("apply", "-f", "-", stdin=manifest)
    command, variables = stacks.once(stack, _bundle(running, namespace).resolve(), running.targets)
    running.traffic.start(reader.name, command, variables)
    running.readers.append(reader)


def _restart_readers(running: Play) -> None:
    """Restart the pods that are older than the new root, as a rollout does; rotation.waitForPods waits for that."""
    olds = [each for each in running.readers if each.old]
    for each in olds:
        running.traffic.end(each.name)
        delete = ("delete", "pod", "-n", each.namespace, each.name, "--grace-period=1", "--timeout=30s")
        running.scene.cluster.kubectl(*delete)
        running.readers.remove(each)
        _reader(running, each.stack, each.namespace, f"{each.name.rpartition('-')[2]}-again", old=False)
    names = ", ".join(each.name for each in olds)
    running.scene.stage.ticker(f"pods restarted, as they read their trust before the new root: {names}", lasting=True)


# --- meanwhile


def _watch(running: Play, began: float) -> None:
    """Show a line each second, act as people would, until the old root is gone and traffic has gone on after it."""
    tally, pace = running.traffic.tally, threading.Event()
    after: dict[str, int] | None = None
    while True:
        now = progress.look(running.authority, CA, running.kubelet)
        entered = now.phase != tally.phase
        tally.phase = now.phase
        _tell(running, now, time.monotonic() - began, lasting=entered)
        if entered:
            _act(running, now.phase)
        if now.done:
            after = after or {client: tally.of(client) for client in _alive(running)}
            if all(tally.of(client) >= count + len(running.targets) for client, count in after.items()):
                return
        late = time.monotonic() - began > DEADLINE_SECONDS
        require(not late, f"the rotation did not end within {DEADLINE_SECONDS:.0f} s; it waits for: {now.waiting}")
        pace.wait(1)


def _alive(running: Play) -> list[str]:
    return ["python rereads", *stacks.singles(), *(each.name for each in running.readers)]


def _tell(running: Play, now: Progress, seconds: float, *, lasting: bool) -> None:
    tally = running.traffic.tally
    waits = f" | waits for {now.waiting}" if now.waiting else ""
    counted = f"{tally.total} handshakes, {len(tally.failures)} failed"
    stage = running.scene.stage
    stage.ticker(f"{seconds:3.0f} s  {now.line()} | {counted}{waits}", lasting=lasting or not stage.live)


def _act(running: Play, phase: str) -> None:
    """What people do in each phase: start pods at all times, and restart old ones."""
    if phase == "Distributing":
        _reader(running, "node", "north", "distributing", old=True)
    elif phase == "Active":
        _reader(running, "python", "south", "active", old=False)
    elif phase == "Retiring":
        _restart_readers(running)


# --- after


def _judge(running: Play, seconds: float) -> None:
    stage, tally = running.scene.stage, running.traffic.tally
    phases = [each for each in ("before", "Distributing", "Active", "Retiring", "Retired") if _during(running, each)]
    stage.plainly(f"    {'handshakes':<30}" + "".join(f"{each:>13}" for each in phases))
    for client in running.traffic.clients:
        counts = "".join(f"{tally.counts[client, each]:>13}" for each in phases)
        stage.plainly(f"    {client:<30}{counts}")
    for failure in tally.failures[:5]:
        stage.came(failure)
    require(not tally.failures, f"{len(tally.failures)} of {tally.total} handshakes failed")
    gone = not running.scene.read("secret", "-n", "anchorline-system", naming.root_secret(CA, 1))
    require(gone, f"the old root is retired, but its key is still in Secret {naming.root_secret(CA, 1)}")
    stage.shows("the old root is in no trust store any more, and its key is deleted")
    stage.shows(
        f"0 failed of {tally.total} handshakes by {len(running.traffic.clients)} clients, in {seconds:.0f} s",
        summary=f"0 failed of {tally.total} handshakes",
    )


def _during(running: Play, phase: str) -> int:
    return sum(count for (_, each), count in running.traffic.tally.counts.items() if each == phase)
