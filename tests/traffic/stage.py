"""A control plane with the chart and one operator process, for the traffic."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chart.cluster import Cluster as Chart
from tests.support.operator import Api, Operator, Site

from anchorline.lab import ControlPlane


@contextmanager
def operated(folder: Path) -> Iterator[Site]:
    """A cluster of our own with an operator at work under the chart's ServiceAccount."""
    with ControlPlane.started() as plane:
        Chart(plane.kubeconfig).install("--set=deployments.enabled=false")
        site = Site(plane, Api(plane.kubeconfig), folder)
        operator = Operator(site)
        try:
            operator.start()
            yield site
        finally:
            operator.end()
