"""The cluster that the demo plays on, our two processes beside it, and the way back to how it was."""

import functools
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from anchorline.cli.demo.leash import Leashed, Order
from anchorline.cli.demo.stage import Stage, require
from anchorline.cli.demo.waiting import until
from anchorline.errors import AnchorlineError
from anchorline.lab import Cluster, ControlPlane, places, ports

NAMESPACE = "anchorline-system"
IDENTITY = "anchorline-operator-0"
OPERATOR_USER = f"system:serviceaccount:{NAMESPACE}:anchorline-operator"
SHOP, ELSEWHERE = "shop", "lodge"
LIVE = ("north", "south")
OURS = (NAMESPACE, SHOP, ELSEWHERE, *LIVE)
Object = dict[str, Any]
# What takes a demo away from a cluster of the user's, in this order.
LEAVING = (
    ("kubectl", "delete", "privateca", "--all", "--ignore-not-found"),
    ("kubectl", "delete", "namespace", SHOP, ELSEWHERE, *LIVE, "--ignore-not-found"),
    ("helm", "uninstall", "anchorline", "-n", NAMESPACE),
    ("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found"),
    ("kubectl", "delete", "crd", "privatecas.anchorline.dev", "certificates.anchorline.dev", "--ignore-not-found"),
)


class Scene:
    """One demo: a cluster, a stage, a folder for files, and processes."""

    def __init__(self, cluster: Cluster, stage: Stage) -> None:
        self.cluster, self.stage = cluster, stage
        self.folder = cluster.directory / "demo"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.repository = places.sources().parent
        self.own = isinstance(cluster, ControlPlane)
        self.address = "127.0.0.1" if self.own else _our_address(cluster.server)
        self.reserved = [ports.reserved() for _ in range(3)]
        self.webhook_port, self.webhook_health, self.operator_health = map(ports.number, self.reserved)
        self.running: dict[str, Leashed] = {}
        self.touched = False

    # --- commands

    def kubectl(self, *arguments: str, stdin: str | None = None, shown: bool = True, check: bool = True) -> str:
        """Run kubectl, show the command, and return what it printed (with its complaints when it failed)."""
        if shown:
            self.stage.ran("kubectl", *arguments)
        done = self.cluster.kubectl(*self._real(arguments), stdin=stdin, check=check)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def apply(self, *manifests: Object, shown: str = "-") -> str:
        """Apply objects that the demo makes itself."""
        self.stage.ran("kubectl", "apply", "-f", shown)
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        return self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(items)).stdout

    def read(self, *arguments: str) -> Object:
        """Read an object, or a list of them; empty when it is not there."""
        done = self.cluster.kubectl("get", *arguments, "-o", "json", "--ignore-not-found", check=False)
        found: Object = json.loads(done.stdout or "{}")
        return found

    def helm(self, *arguments: str) -> str:
        """Run helm, show the command, and return what it printed."""
        self.stage.ran("helm", *arguments)
        return self.cluster.helm(*self._real(arguments)).stdout

    def _real(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """Files of the repository are shown as a reader would type them there, and found wherever we are."""
        inside = ("examples/", "charts/")
        return tuple(str(self.repository / each) if each.startswith(inside) else each for each in arguments)

    # --- processes

    def start(self, name: str, *flags: str) -> Leashed:
        """Start `anchorline NAME` as the chart's ServiceAccount of that name."""
        self.stage.ran("anchorline", name, *flags)
        order = Order(
            name=name,
            command=[sys.executable, "-m", "anchorline", name, *flags],
            log=str(self.folder / f"{name}.log"),
            variables={
                "ANCHORLINE_SERVICE_ACCOUNT_DIR": str(
                    self.cluster.service_account_directory(NAMESPACE, f"anchorline-{name}")
                ),
                "ANCHORLINE_API_SERVER": self.cluster.server,
            },
        )
        self.running[name] = Leashed(order)
        return self.running[name]

    def start_operator(self) -> Leashed:
        """Start the operator under a name that stays, as that of a container that is started again in its pod."""
        flags = ("--namespace", NAMESPACE, "--address", "127.0.0.1", "--health-port", str(self.operator_health))
        return self.start("operator", *flags, "--identity", IDENTITY)

    def start_webhook(self) -> Leashed:
        """Start the webhook where the API server is told to call it."""
        flags = ("--namespace", NAMESPACE, "--address", self.address, "--port", str(self.webhook_port))
        return self.start("webhook", *flags, "--health-port", str(self.webhook_health), "--serving-name", self.address)

    def answers(self, name: str, path: str) -> str:
        """What a process of ours says at a path of its health port; "" when it does not answer 200."""
        host, port = ("127.0.0.1", self.operator_health) if name == "operator" else (self.address, self.webhook_health)
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{host}:{port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            require(self.running[name].running, f"the {name} ended:\n{self.running[name].last_words()}")
            return ""

    def await_ready(self, name: str) -> None:
        """Wait until a process of ours is ready."""
        until(lambda: self.answers(name, "/readyz"), f"the {name} is ready", seconds=60)

    def stop(self) -> None:
        """End our processes, the last one first."""
        while self.running:
            self.running.popitem()[1].stop()

    # --- on a cluster of the user's

    def check_free(self) -> None:
        """Refuse a cluster where something of the demo's names exists: it is not ours to change or to remove."""
        found = self.read("namespaces", *OURS).get("items", [])
        names = [f"namespace {each['metadata']['name']}" for each in found]
        crds = self.read("crd", "privatecas.anchorline.dev")
        names += ["Anchorline's CRDs"] if crds else []
        require(not names, f"This cluster has {', '.join(names)} already; the demo touches nothing that exists.")
        self.touched = True

    def leave(self) -> None:
        """Take away what the demo made on a cluster of the user's."""
        if self.own or not self.touched:
            return
        for program, *command in LEAVING:
            (self.cluster.helm if program == "helm" else self.cluster.kubectl)(*command, check=False)

    def keep(self) -> subprocess.Popen[bytes]:
        """Hand our processes over to a keeper that outlives us, and wait until they are ready again."""
        orders = self.folder / "orders.json"
        orders.write_text(json.dumps([each.order.as_json() for each in self.running.values()]))
        orders.chmod(0o600)
        names = list(self.running)
        self.stop()
        supervisor = _supervisor(self.cluster)
        with (self.folder / "keeper.log").open("ab") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "anchorline.cli.demo.keeper", str(supervisor), str(orders)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for name in names:
            until(functools.partial(_is_ready, self.url(name)), f"the {name} is ready", seconds=60)
        keeper.returncode = 0  # Popen warns about a process that still runs when it is forgotten; this one is meant to
        return keeper

    def url(self, name: str) -> str:
        """Where a process of ours tells how it is."""
        return f"http://127.0.0.1:{self.operator_health if name == 'operator' else self.webhook_health}/readyz"


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _supervisor(cluster: Cluster) -> int:
    from anchorline.lab.folder import Folder, read_state

    return read_state(Folder(root=cluster.directory)).supervisor if isinstance(cluster, ControlPlane) else 0


def _our_address(server: str) -> str:
    """The address of this machine that faces the API server: one that it may be able to call back."""
    host = urlsplit(server).hostname or "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as question:
        question.connect((host, 9))
        return str(question.getsockname()[0])


def quietly(act: Callable[[], object]) -> None:
    """Do something on the way out; what goes wrong there must not hide why we leave."""
    try:
        act()
    except (AnchorlineError, OSError) as error:
        print(f"anchorline: while cleaning up: {error}", file=sys.stderr)
