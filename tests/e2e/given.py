"""The cluster that a user gives to the stories, if any."""

import os
from pathlib import Path


def kubeconfig() -> Path | None:
    """Path of ANCHORLINE_TEST_KUBECONFIG or KUBECONFIG."""
    found = os.environ.get("ANCHORLINE_TEST_KUBECONFIG") or os.environ.get("KUBECONFIG")
    return Path(found) if found else None
