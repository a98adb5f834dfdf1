"""What scenarios have in common: how they are found, and their PrivateCA, taken away at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.operator import ACCOUNT, SYSTEM, Api, Object, Site
from tests.support.rotation import Rotation

Scenario = Callable[[Site], None]
# The CA of a scenario that cuts clients off on purpose; the auditor beside the others leaves it out.
NOT_AUDITED = "cut-off"
SCENARIOS: dict[str, Scenario] = {}


def scenario(act: Scenario) -> Scenario:
    """Have this run beside the others, as a test of its name."""
    SCENARIOS[act.__name__] = act
    return act


@contextmanager
def rotation(site: Site, name: str = "", **spec: Any) -> Iterator[Rotation]:
    """A CA with two namespaces and a Certificate in each; what is left of it goes also when the scenario fails."""
    case = Rotation(site.api, name) if name else Rotation(site.api)
    try:
        yield case.begin(**spec)
    finally:
        case.end()


def thief(site: Site) -> Api:
    """The API server with the operator's own token: nobody else may touch a trust store."""
    return Api(site.plane.service_account_kubeconfig(SYSTEM, ACCOUNT))


def data_of(obj: Object) -> Object:
    """The entries of an object."""
    found: Object = obj["data"]
    return found
