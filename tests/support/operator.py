"""The running operator for contract tests: its process under the chart's ServiceAccount, and the cluster around it."""

import ctypes
import http.client
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tests.support.lab import needs_own

from anchorline.kube.connection import from_kubeconfig
from anchorline.lab import AuditEvent, AuditLog, Cluster, ControlPlane, ports

SYSTEM = "anchorline-system"
ACCOUNT = "anchorline-operator"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
EXECUTABLE = Path(sys.executable).with_name("anchorline")
Object = dict[str, Any]
T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_numbers = itertools.count(1)
_reserved: deque[socket.socket] = deque(maxlen=100)


def awaited(look: Callable[[], T | None], what: str, *, seconds: float = 30.0) -> T:
    """What `look` finds, as soon as it finds something; fails the test with `what` when it does not in time."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.03)
    return found


def fresh(prefix: str) -> str:
    """A name that no other test of this session has."""
    return f"{prefix}-{os.getpid() % 1000}-{next(_numbers)}"


def free_port() -> int:
    """A port that nobody else gets until many more were asked for."""
    kept = ports.reserved()
    _reserved.append(kept)  # of one more than it holds it lets the first go
    return ports.number(kept)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


KINDS = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Secret": ("/api/v1", "secrets", True),
    "ConfigMap": ("/api/v1", "configmaps", True),
    "ServiceAccount": ("/api/v1", "serviceaccounts", True),
    "Pod": ("/api/v1", "pods", True),
    "Event": ("/apis/events.k8s.io/v1", "events", True),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases", True),
    "PrivateCA": ("/apis/anchorline.dev/v1alpha1", "privatecas", False),
    "Certificate": ("/apis/anchorline.dev/v1alpha1", "certificates", True),
}


class Refused(AssertionError):
    """The API server refused what a test asked."""


class Api:
    """The API server as its administrator, in plain calls: a kubectl process for each would make the tests slow."""

    def __init__(self, kubeconfig: Path) -> None:
        self._connection = from_kubeconfig(kubeconfig)
        self._tls = self._connection.ssl_context()

    def call(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """Send one request. Raises Refused; its text begins with the status."""
        headers = {"Content-Type": kind}
        if self._connection.token:
            headers["Authorization"] = f"Bearer {self._connection.token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._connection.server + path, data, headers, method=method)
        status, text = awaited(lambda: self._answer(request), f"{method} {path}: the API server takes requests")
        if status >= 400:
            raise Refused(f"{status} {text}")
        found: Object = json.loads(text)
        return found

    def _answer(self, request: urllib.request.Request) -> tuple[int, str] | None:
        """Status and text; None when the API server is busy, as it is for a second after a CRD was made."""
        try:
            with urllib.request.urlopen(request, timeout=20, context=self._tls) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return None if error.code == 429 else (error.code, error.read().decode())

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        """Address of an object, or of all of a kind."""
        root, plural, namespaced = KINDS[kind]
        where = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{where}/{plural}" + (f"/{name}" if name else "")

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """Read an object, None when it is not there."""
        try:
            return self.call("GET", self.path(kind, name, namespace))
        except Refused as error:
            if str(error).startswith("404"):
                return None
            raise

    def list(self, kind: str, namespace: str = "", labels: str = "") -> list[Object]:
        """Read all objects of a kind."""
        found: list[Object] = self.call("GET", f"{self.path(kind, '', namespace)}?labelSelector={labels}")["items"]
        return found

    def create(self, obj: Object) -> Object:
        """Create an object."""
        path = self.path(obj["kind"], "", obj["metadata"].get("namespace", ""))
        return self.call("POST", path, {"apiVersion": _version(obj), **obj})

    def apply(self, obj: Object) -> Object:
        """Create an object, or make it what is said here (server-side apply)."""
        meta = obj["metadata"]
        path = self.path(obj["kind"], meta["name"], meta.get("namespace", "")) + "?fieldManager=test&force=true"
        return self.call("PATCH", path, {"apiVersion": _version(obj), **obj}, "application/apply-patch+yaml")

    def merge(self, kind: str, name: str, namespace: str = "", *, body: Object) -> Object:
        """Change an object by a JSON merge patch."""
        return self.call("PATCH", self.path(kind, name, namespace), body, "application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Delete an object, if it is there."""
        with suppress(Refused):
            self.call("DELETE", self.path(kind, name, namespace))


def _version(obj: Object) -> str:
    return KINDS[obj["kind"]][0].removeprefix("/apis/").removeprefix("/api/")


def condition(obj: Object, kind: str) -> Object:
    """A condition of an object's status; {} when it has none such."""
    found: list[Object] = obj.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == kind), {})


@dataclass
class Site:
    """A cluster with the chart in it, and all that was logged by operators that ran there."""

    plane: Cluster
    api: Api
    directory: Path
    logs: list[Path] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    @cached_property
    def account(self) -> Path:
        """The files of the operator's ServiceAccount."""
        return self.plane.service_account_directory(SYSTEM, ACCOUNT)

    @property
    def audit(self) -> AuditLog:
        """The API server's audit log; only a control plane of our own has one, and on others the test is skipped."""
        needs_own("counts requests in the audit log")
        assert isinstance(self.plane, ControlPlane)
        return AuditLog(self.plane.audit_log)

    def fence(self) -> None:
        """Wait until the audit log holds everything that was answered before this call."""
        mark, name = self.audit.mark(), fresh("fence")
        self.api.get("Namespace", name)
        awaited(lambda: any(e.name == name for e in self.audit.since(mark, resource="namespaces")), "the audit log")

    def writes(self, mark: int, namespace: str | None = None) -> list[AuditEvent]:
        """What operators have written since `mark`, in its order, without the Lease."""
        self.fence()
        events = self.audit.since(mark, user=USER, namespace=namespace)
        return [event for event in events if event.write and event.resource != "leases"]


class Operator:
    """One operator process, as the chart's Deployment starts it."""

    def __init__(self, site: Site, identity: str = "pod-a", *flags: str) -> None:
        self.site, self.identity, self.flags = site, identity, flags
        self.log_file = site.directory / f"operator-{fresh(identity)}.log"
        site.logs.append(self.log_file)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, lead: bool = True) -> "Operator":
        """Start the process and wait until it is ready, and leads."""
        self.spawn()
        if lead:
            awaited(lambda: self._alive() and self.leads, f"{self.identity} leads; see {self.log_file}", seconds=60)
            self.idle()
        else:
            awaited(lambda: self._alive() and self.ready, f"{self.identity} is ready; see {self.log_file}", seconds=60)
        return self

    def spawn(self, *, port: int = 0) -> None:
        """Start the process and wait for nothing."""
        self.port = port or free_port()
        folder = self.site.account
        environ = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
        environ |= {"ANCHORLINE_SERVICE_ACCOUNT_DIR": str(folder), "ANCHORLINE_API_SERVER": self.site.plane.server}
        flags = (f"--namespace={SYSTEM}", "--address=127.0.0.1", f"--health-port={self.port}")
        command = [str(EXECUTABLE), "operator", *flags, f"--identity={self.identity}", "--log-level=debug", *self.flags]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environ,
                stderr=log,
                stdout=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it does one system call, looked up before
            )

    def _alive(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the operator ended:\n{self.log[-3000:]}"
        return True

    @property
    def running(self) -> bool:
        """Whether there is a living process."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as a node that loses power does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as the kubelet does; the exit code."""
        if self.running:
            self.site.metrics.append(self.get("/metrics")[1])
        return self._end(signal.SIGTERM)

    def end(self) -> None:
        """Make sure that it does not run any more."""
        if self.running:
            assert self.stop() == 0, self.log[-2000:]

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def suspend(self) -> None:
        """Let it stand still, as a process that gets no processor time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        return self.log_file.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of /healthz, /readyz or /metrics; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """Sum of a metric over all its series that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            match = re.match(rf"{name}(\{{.*\}})? (\S+)$", line)
            if match and all(each in (match[1] or "") for each in wanted):
                total += float(match[2])
        return total

    @property
    def ready(self) -> bool:
        """Whether its readiness probe passes."""
        return self.get("/readyz")[0] == 200

    @property
    def leads(self) -> bool:
        """Whether it is ready and holds the Lease."""
        return self.ready and self.metric("anchorline_leader") == 1

    def looks(self, kind: str) -> float:
        """How often it has looked at an object of this kind."""
        return self.metric("anchorline_reconcile_duration_seconds_count", kind=kind)

    def issued(self) -> float:
        """How many leaf certificates it has issued."""
        return self.metric("anchorline_certificates_issued_total")

    def idle(self) -> None:
        """Wait until it has looked at everything that there is at least once, and has nothing more to do."""
        wanted = Counter(each for each in ("PrivateCA", "Certificate", "Namespace") for _ in self.site.api.list(each))
        awaited(
            lambda: (
                all(self.looks(kind) >= count for kind, count in wanted.items())
                and self.metric("anchorline_workqueue_depth") == 0
            ),
            f"{self.identity} has looked at {dict(wanted)}",
        )
