"""Where operators run in contract tests: the chart in a control plane of our own, or in the user's and out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chart.cluster import Cluster as Chart
from tests.chart.cluster import installed
from tests.support.lab import crds_there
from tests.support.operator import Api, Site

from anchorline.lab import Cluster, ControlPlane

WITHOUT_PODS = "--set=deployments.enabled=false"
CONTROLLER = "anchorline.dev/operator"


@contextmanager
def a_site(directory: Path) -> Iterator[Site]:
    """A control plane with the chart installed, without its Deployments."""
    with ControlPlane.started() as plane:
        Chart(plane.kubeconfig).install(WITHOUT_PODS)
        yield Site(plane, Api(plane.kubeconfig), directory)


@contextmanager
def borrowed_site(plane: Cluster, directory: Path) -> Iterator[Site]:
    """The same in a cluster that was there before: everything that was made is taken away again."""
    before = crds_there(plane)
    flags = (WITHOUT_PODS, *(("--set=crds.enabled=false",) if before else ()))
    try:
        with installed(plane, *flags):
            site = Site(plane, Api(plane.kubeconfig), directory)
            try:
                yield site
            finally:
                _empty(site)
    finally:
        _delete(plane, "crd", *(name for name in crds_there(plane) if name not in before))


def _empty(site: Site) -> None:
    """Take away what tests made and operators wrote; with the chart's own namespace go the keys."""
    _delete(site.plane, "namespace", *site.namespaces)
    for kind in ("privatecas.anchorline.dev", "certificates.anchorline.dev"):
        site.plane.kubectl("delete", kind, "--all", "--all-namespaces", "--ignore-not-found")
    ours = f"--field-selector=reportingController={CONTROLLER}"
    site.plane.kubectl("delete", "events.events.k8s.io", "-n", "default", ours)


def _delete(plane: Cluster, kind: str, *names: str) -> None:
    if names:
        plane.kubectl("delete", kind, "--ignore-not-found", "--timeout=120s", *names)
