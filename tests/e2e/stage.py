"""What the stories do to a cluster: objects, pods of clients and of servers, waiting, reading logs."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.images import CLIENTS

from anchorline import errors
from anchorline.lab import Cluster

Object = dict[str, Any]
Done = subprocess.CompletedProcess[str]
Found = TypeVar("Found")

SYSTEM = "anchorline-system"
_TRIES = 5
STORIES = "stories.txt"
STORY = "anchorline.local/story"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def awaited(look: Callable[[], Found | None], what: str, *, seconds: float = 60.0) -> Found:
    """Wait until `look` returns something true, and return it: less and less often, since each look is a process."""
    end, pause = time.monotonic() + seconds, 0.1
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)
        pause = min(pause * 1.2, 1.0)
    return found


def container(*command: str, name: str = "main", **more: Any) -> Object:
    """A container of the clients' image, as the Pod Security standard `restricted` wants it."""
    wanted = {"name": name, "image": CLIENTS, "imagePullPolicy": "IfNotPresent", "command": list(command)}
    return {**wanted, "securityContext": RESTRICTED, **more}


def pod_spec(*containers: Object, **more: Any) -> Object:
    """A pod that ends when its containers do, and does not keep a test waiting."""
    return {"containers": list(containers), "restartPolicy": "Never", "terminationGracePeriodSeconds": 0, **more}


def pod(name: str, namespace: str, spec: Object, **metadata: Any) -> Object:
    """A pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


@dataclass
class Stage:
    """A cluster with the chart in it, and where the run keeps what it shows."""

    cluster: Cluster
    kept: Path

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True, timeout: float = 300.0) -> Done:
        """Run kubectl; again when a busy machine kept it from connecting, since nothing has been asked then."""
        for _ in range(_TRIES):
            done = self.cluster.kubectl(*args, stdin=stdin, check=False, timeout=timeout)
            if not done.returncode or "TLS handshake timeout" not in done.stderr:
                break
        if check and done.returncode:
            raise errors.ClusterError(f"kubectl {' '.join(args[:2])} failed: {done.stderr.strip()}")
        return done

    def apply(self, *objects: Object) -> None:
        """Create objects, or change them."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(items))

    def clear(self) -> None:
        """Take away what an earlier run left, which may have been killed."""
        for kind in ("namespaces", "privatecas"):
            self.kubectl("delete", kind, "-l", f"{STORY}=yes", "--timeout=120s", check=False)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """Read one object, empty when it does not exist."""
        done = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        found: Object = json.loads(done.stdout or "{}")
        return found

    def items(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """List objects of a namespace."""
        done = self.kubectl("get", kind, "-n", namespace, "-o", "json", "-l", selector)
        found: list[Object] = json.loads(done.stdout)["items"]
        return found

    def ready(self, kind: str, name: str, namespace: str = "default", *, seconds: int = 90) -> None:
        """Wait until an object is Ready."""
        self.kubectl("wait", f"{kind}/{name}", "-n", namespace, "--for=condition=Ready", f"--timeout={seconds}s")

    def logs(self, name: str, namespace: str, *args: str) -> str:
        """Read what a pod said."""
        return self.kubectl("logs", name, "-n", namespace, *args, check=False).stdout

    def run(self, name: str, namespace: str, *command: str, check: bool = True) -> str:
        """Run a command in a pod."""
        return self.kubectl("exec", name, "-n", namespace, "--", *command, check=check).stdout

    def authority(self, name: str, **spec: Any) -> None:
        """Make a PrivateCA and wait until it is Ready."""
        wanted = {"subject": {"commonName": f"Acme {name}"}, "deletionPolicy": "Delete", **spec}
        self.apply(_ours("PrivateCA", {"name": name, "labels": {STORY: "yes"}}, wanted))
        self.ready("privateca", name)

    def namespace(
        self, name: str, trust: str | None = None, labels: dict[str, str] | None = None, formats: str = ""
    ) -> str:
        """Make a namespace; when it asks for trust, wait until its pods will have it."""
        notes = {"anchorline.dev/trust": trust} if trust else {}
        notes |= {"anchorline.dev/trust-formats": formats} if formats else {}
        metadata = {"name": name, "annotations": notes, "labels": {STORY: "yes", **(labels or {})}}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        awaited(lambda: self.get("serviceaccount", "default", name), f"{name} has a service account")
        if trust:
            label = ".".join(["enabled", *formats.split(",")]) if formats else "enabled"
            awaited(lambda: self._label(name) == label, f"{name} has its trust store")
        return name

    def _label(self, name: str) -> str:
        return str(self.get("namespace", name)["metadata"].get("labels", {}).get("anchorline.dev/trust"))

    def certificate(self, name: str, namespace: str, ca: str, **spec: Any) -> None:
        """Have a certificate issued for the Service `name`."""
        host = f"{name}.{namespace}.svc"
        wanted = {
            "caRef": {"name": ca},
            "secretName": f"{name}-tls",
            "dnsNames": [host, f"{host}.cluster.local"],
            **spec,
        }
        self.apply(_ours("Certificate", {"name": name, "namespace": namespace}, wanted))
        self.ready("certificate", name, namespace)

    def server(self, name: str, namespace: str, ca: str, **spec: Any) -> str:
        """Have a pod serve HTTPS with an issued certificate behind a Service; returns its address."""
        self.certificate(name, namespace, ca, **spec)
        return self.serve(name, namespace, f"{name}-tls")

    def serve(self, name: str, namespace: str, secret_name: str) -> str:
        """Have a pod serve HTTPS with the certificate of a Secret behind a Service; returns its address."""
        secret = {"name": "tls", "secret": {"secretName": secret_name}}
        mount = {"name": "tls", "mountPath": "/tls", "readOnly": True}
        probe = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
        main = container(
            "python3", "/opt/clients/server.py", "/tls", "8443", volumeMounts=[mount], readinessProbe=probe
        )
        ports = [{"port": 443, "targetPort": 8443}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}}
        self.apply(
            {**service, "spec": {"selector": {"app": name}, "ports": ports}},
            pod(name, namespace, pod_spec(main, volumes=[secret]), labels={"app": name}),
        )
        self.ready("pod", name, namespace)
        return f"https://{name}.{namespace}.svc/"

    def ended(self, namespace: str, selector: str, count: int, *, seconds: float = 180.0) -> list[Object]:
        """Wait until that many pods have ended, and return them."""

        def look() -> list[Object]:
            found = self.items("pods", namespace, selector)
            over = [each for each in found if each["status"].get("phase") in {"Succeeded", "Failed"}]
            return over if len(over) == count else []

        return awaited(look, f"{count} pods of {namespace} have ended", seconds=seconds)

    def show(self, title: str, lines: list[str]) -> None:
        """Keep what a user would see; the end of the run prints it."""
        text = "\n".join([title, *lines, ""])
        with (self.kept / STORIES).open("a") as file:
            file.write(f"{text}\n")


def _ours(kind: str, metadata: Object, spec: Object) -> Object:
    return {"apiVersion": "anchorline.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
