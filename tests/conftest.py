"""Settings of Hypothesis for all tests: no timing decides, and CI tries the same examples each time."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    deadline=None,
    # Machines are shared: how long it takes to think up an example says nothing about the code.
    suppress_health_check=[HealthCheck.too_slow],
    # CI judges a change: what it finds must be the change's doing. Elsewhere each run tries new examples.
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("house")
