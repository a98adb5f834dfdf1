"""The cluster that contract tests run on: one control plane for the session, or the user's own."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anchorline.lab import Cluster, ControlPlane, attach

VARIABLE = "ANCHORLINE_TEST_KUBECONFIG"
# What the chart, or its CRDs, would have left: cluster-wide names, so that no second one fits beside it.
TAKEN = (
    ("namespace", "anchorline-system"),
    ("mutatingwebhookconfiguration", "anchorline"),
    ("clusterrole", "anchorline-operator"),
)


def given() -> Path | None:
    """The kubeconfig of the cluster that the user wants the tests to run on, None for a control plane of our own."""
    path = os.environ.get(VARIABLE) or os.environ.get("KUBECONFIG")
    return Path(path) if path else None


def needs_own(why: str) -> None:
    """Skip a test that cannot run on the user's cluster."""
    if given():
        pytest.skip(f"{why}: needs a control plane that the lab starts for it, not the cluster of {given()}")


@pytest.fixture(scope="session")
def plane() -> Iterator[Cluster]:
    """A real cluster: the user's, on which nobody else's Anchorline may be, else a control plane of our own."""
    config = given()
    if config is None:
        with ControlPlane.started() as own:
            yield own
        return
    with attach(config) as cluster:
        refuse_what_is_taken(cluster)
        yield cluster


def refuse_what_is_taken(cluster: Cluster) -> None:
    """Fail on a cluster that has Anchorline: an operator of ours would act on what is there."""
    names = [f"{kind} {name}" for kind, name in TAKEN if _there(cluster, kind, name)]
    for resource in ("privatecas.anchorline.dev", "certificates.anchorline.dev"):
        if _there(cluster, "crd", resource):
            names += cluster.kubectl("get", resource, "-A", "-o", "name").stdout.split()
    assert not names, (
        f"the cluster of {cluster.kubeconfig} has {', '.join(names)}: the tests install Anchorline themselves and take"
        " it away again; give them a cluster without it"
    )


def _there(cluster: Cluster, kind: str, name: str) -> bool:
    return bool(cluster.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").stdout)


@pytest.fixture(scope="session")
def own_plane(plane: Cluster) -> ControlPlane:
    """The same cluster, for tests that stop its components or read its audit log: skipped on the user's own."""
    needs_own("stops components or reads the audit log")
    assert isinstance(plane, ControlPlane)
    return plane


def crds_there(cluster: Cluster) -> list[str]:
    """Names of Anchorline's CRDs that a cluster has."""
    listed = json.loads(cluster.kubectl("get", "crd", "-o", "json").stdout)["items"]
    return [each["metadata"]["name"] for each in listed if each["spec"]["group"] == "anchorline.dev"]


def eventually(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Wait until `condition` holds; fails the test with `what` when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
