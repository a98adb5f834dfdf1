"""Settings for all tests.

Hypothesis: no timing decides, and CI tries the same examples each time. Coverage: it is asked of the pure rooms, and
tracing makes a test twice as slow, so it is traced where those rooms' own tests run.
--kubeconfig names the user's own cluster, else KUBECONFIG.
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.support.depth import examples

settings.register_profile(
    "house",
    max_examples=examples(),
    deadline=None,
    # Machines are shared: how long it takes to think up an example says nothing about the code.
    suppress_health_check=[HealthCheck.too_slow],
    # CI judges a change: what it finds must be the change's doing. Elsewhere each run tries new examples.
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("house")

HERE = Path(__file__).parent
ELSEWHERE = tuple(HERE / "unit" / room for room in ("kube", "shell", "lab", "cli"))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests of the rooms that do I/O are not traced: the pure ones are covered by tests of their own."""
    if any(item.path.is_relative_to(room) for room in ELSEWHERE):
        item.add_marker(pytest.mark.no_cover)


CLUSTER = "ANCHORLINE_TEST_KUBECONFIG"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the user name a cluster."""
    what = "run tests that need a cluster on this one, and clean it up (default: KUBECONFIG, else one of our own)"
    parser.addoption("--kubeconfig", metavar="FILE", help=what)


def pytest_configure(config: pytest.Config) -> None:
    """Have all that starts a cluster, and processes of tests, know it."""
    chosen = config.getoption("--kubeconfig")
    if chosen:
        os.environ[CLUSTER] = chosen
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A run in the background ignores Ctrl-C, and what it starts would inherit that: some tests send it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say where it is going to be busy."""
    chosen = os.environ.get(CLUSTER) or os.environ.get("KUBECONFIG")
    return f"cluster: that of {chosen}" if chosen else "cluster: control planes of the lab"
