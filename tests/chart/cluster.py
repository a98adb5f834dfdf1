"""Runs helm and kubectl for the chart's tests: rendering, a cluster with the chart installed, asking as other users."""

import functools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.support.lab import eventually

from anchorline import lab
from anchorline.lab import binaries

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "anchorline"
GENERATED = CHART / "crds-generated"
RELEASE = "anchorline"
NAMESPACE = "anchorline-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:anchorline-operator"
WEBHOOK = f"system:serviceaccount:{NAMESPACE}:anchorline-webhook"

Object = dict[str, Any]
Done = subprocess.CompletedProcess[str]


def helm(*args: str, kubeconfig: Path | None = None, check: bool = True) -> Done:
    """Run helm."""
    return _run("helm", args, kubeconfig, None, check=check)


def template(*args: str, name: str = RELEASE, namespace: str = NAMESPACE, chart: Path = CHART) -> str:
    """Render the chart without a cluster."""
    return helm("template", name, str(chart), "--namespace", namespace, *args).stdout


def rendered(*args: str, namespace: str = NAMESPACE) -> list[Object]:
    """Return the objects of the chart, rendered without a cluster."""
    return [item for item in yaml.safe_load_all(template(*args, namespace=namespace)) if item]


def one(objects: list[Object], kind: str, name: str) -> Object:
    """Return the object of that kind and name."""
    (found,) = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


@dataclass(frozen=True, slots=True)
class Cluster:
    """One API server, as its administrator or as somebody else."""

    kubeconfig: Path
    user: str | None = None

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> Done:
        """Run kubectl."""
        who = ("--as", self.user) if self.user else ()
        return _run("kubectl", (*args, *who), self.kubeconfig, stdin, check=check)

    def helm(self, *args: str, check: bool = True) -> Done:
        """Run helm."""
        return helm(*args, kubeconfig=self.kubeconfig, check=check)

    def become(self, user: str) -> "Cluster":
        """Return the same API server, asked as another user."""
        return Cluster(self.kubeconfig, user)

    def create(self, *objects: Object, check: bool = True) -> Done:
        """Create objects."""
        return self.kubectl("create", "-f", "-", "-o", "json", stdin=as_list(*objects), check=check)

    def get(self, *args: str) -> Object:
        """Read one object, or one list."""
        found: Object = json.loads(self.kubectl("get", *args, "-o", "json").stdout)
        return found

    def install(self, *args: str, chart: Path = CHART) -> None:
        """Install the chart, and wait until its admission policies are in force."""
        self.helm("install", RELEASE, str(chart), "--namespace", NAMESPACE, "--create-namespace", *args)
        eventually(self._in_force, "the admission policies are in force", seconds=60)

    def uninstall(self) -> None:
        """Uninstall the chart; what helm keeps, stays."""
        self.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")

    def _in_force(self) -> bool:
        """Ask, as the operator, for what each policy denies; nothing is written."""
        operator = self.become(OPERATOR)
        probe = trust_store("anchorline-probe", NAMESPACE)
        created = operator.kubectl("create", "-f", "-", stdin=json.dumps(probe), check=False)
        dry = ("-n", NAMESPACE, "--dry-run=server")
        answers = (
            self.kubectl("delete", "configmap", "anchorline-probe", *dry, check=False),
            operator.kubectl("create", "configmap", "probe", *dry, check=False),
            operator.kubectl("annotate", "namespace", NAMESPACE, "a=b", "--dry-run=server", check=False),
        )
        denied = all("denied request" in answer.stderr for answer in answers)
        if created.returncode == 0 or denied:
            operator.kubectl("-n", NAMESPACE, "delete", "configmap", "anchorline-probe", check=False)
        return denied


@contextmanager
def installed(plane: lab.Cluster, *args: str) -> Iterator[Cluster]:
    """Have the chart in the cluster for as long as the block runs."""
    cluster = Cluster(plane.kubeconfig)
    cluster.install(*args)
    try:
        yield cluster
    finally:
        cluster.uninstall()
        cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


def trust_store(name: str, namespace: str) -> Object:
    """Make a ConfigMap as the operator writes it."""
    labels = {"anchorline.dev/managed": "true", "anchorline.dev/role": "trust-store"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": {"ca-bundle.crt": "roots"},
    }


def as_list(*objects: Object) -> str:
    """Objects as one List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


@functools.cache
def _program(name: str) -> str:
    """Where a program is; asked once, since asking starts it."""
    return str(binaries.locate(name))


def _run(program: str, args: tuple[str, ...], kubeconfig: Path | None, stdin: str | None, *, check: bool) -> Done:
    environment = ("--kubeconfig", str(kubeconfig)) if kubeconfig else ()
    command = [_program(program), *args, *environment]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=180)
    assert not check or done.returncode == 0, f"{program} {' '.join(args)}\n{done.stdout[-2000:]}{done.stderr}"
    return done
