"""A control plane whose operator talks to it through the proxy, and whose leaves may live for seconds."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chart.cluster import Cluster as Chart
from tests.scenarios.proxy import Proxy
from tests.support.operator import Api, Object, Site

from anchorline.lab import ControlPlane

SHORTEST = "duration must be at least 30s"


class Behind(ControlPlane):
    """The same control plane; its service accounts find the proxy in its place."""

    proxy: Proxy

    def put(self, proxy: Proxy) -> None:
        """Have operators that are started from now on talk to the proxy."""
        self.proxy = proxy
        self.server = proxy.server

    def service_account_directory(self, namespace: str, name: str) -> Path:
        """The files of a service account, with the proxy's CA."""
        folder = self.directory / "behind"
        shutil.copytree(super().service_account_directory(namespace, name), folder, dirs_exist_ok=True)
        shutil.copy(self.proxy.ca_file, folder / "ca.crt")
        return folder


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Site, Proxy]]:
    """A control plane with the chart and a proxy before it."""
    folder.mkdir()
    with Behind.started() as plane:
        Chart(plane.kubeconfig).install("--set=deployments.enabled=false")
        for name in ("privatecas", "certificates"):
            _let_leaves_be_short(plane, f"{name}.anchorline.dev")
        proxy = Proxy(plane.server, plane.ca_file, folder).start()
        plane.put(proxy)
        yield Site(plane, Api(plane.kubeconfig), folder), proxy


def _let_leaves_be_short(plane: ControlPlane, name: str) -> None:
    """Take the rule for the shortest life out of a CRD: an old root waits for its last leaf, and so would each run."""
    crd: Object = json.loads(plane.kubectl("get", "crd", name, "-o", "json").stdout)
    _without_rule(crd)
    plane.kubectl("replace", "-f", "-", stdin=json.dumps(crd))


def _without_rule(node: object) -> None:
    if isinstance(node, dict):
        rules = node.get("x-kubernetes-validations")
        if rules:
            node["x-kubernetes-validations"] = [each for each in rules if each.get("message") != SHORTEST]
        for each in node.values():
            _without_rule(each)
    elif isinstance(node, list):
        for each in node:
            _without_rule(each)
