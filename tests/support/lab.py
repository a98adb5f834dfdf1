"""The cluster that contract tests run on: one control plane for the session, or the user's own."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anchorline.lab import Cluster, ControlPlane, attach


@pytest.fixture(scope="session")
def plane() -> Iterator[Cluster]:
    """A real cluster: that of ANCHORLINE_TEST_KUBECONFIG or KUBECONFIG, else a control plane of our own."""
    given = os.environ.get("ANCHORLINE_TEST_KUBECONFIG") or os.environ.get("KUBECONFIG")
    with attach(Path(given)) if given else ControlPlane.started() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def own_plane(plane: Cluster) -> ControlPlane:
    """The same cluster, for tests that stop its components or read its audit log: skipped on the user's own."""
    if not isinstance(plane, ControlPlane):
        pytest.skip("needs a control plane that the lab started")
    return plane


def eventually(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Wait until `condition` holds; fails the test with `what` when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
