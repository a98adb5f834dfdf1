"""Who comes while a root is replaced, who stands in the way, and who has to be waited for."""

import time
from collections.abc import Callable

from tests.auditor.beside import Beside
from tests.scenarios.stage import NOT_AUDITED, rotation, scenario, thief
from tests.scenarios.triggers import anchorline, roots_in
from tests.support.operator import Api, Object, Site
from tests.support.rotation import LAG, Rotation, certificates, entry, seen, steadily


@scenario
def newcomers_in_each_phase(site: Site) -> None:
    """A namespace and a Certificate that appear in the middle have what is right from their first write on."""
    with rotation(site) as case:
        case.annotate(rotate="newcomers")
        case.until("Distributing Active")
        _comes(case, trusts=2, sends=2)
        case.until("Active Active")
        _comes(case, trusts=2, sends=3)
        case.until("Active Retiring")
        _comes(case, trusts=2, sends=3)
        case.ended()
        _comes(case, trusts=1, sends=2)


def _comes(case: Rotation, *, trusts: int, sends: int) -> None:
    """The first version of a store and of a Secret that anybody can see, caught by looking all the time."""
    namespace = case.namespace()
    store = _first(lambda: case.api.get("ConfigMap", "anchorline-trust", namespace))
    assert len(certificates(store["data"]["private-ca.crt"].encode())) == trusts
    leaf = _first(lambda: case.api.get("Secret", "web0-tls", namespace))
    assert len(certificates(entry(leaf, "tls.crt"))) == sends, case.says
    assert len(roots_in(leaf)) == trusts


def _first(look: Callable[[], Object | None]) -> Object:
    return seen(look, "the newcomer has it")


@scenario
def a_foreign_store_stands_in_the_way(site: Site) -> None:
    """It is named, it is left as it is, nothing goes on; once it is gone, all does."""
    with rotation(site) as case:
        case.annotate(rotate="obstacle")
        late = f"{case.name}-late"
        foreign = {"kind": "ConfigMap", "metadata": {"name": "anchorline-trust", "namespace": late}}
        case.api.create({"kind": "Namespace", "metadata": {"name": late}})
        case.api.create({**foreign, "data": {"mine": "yes"}})
        body = {"metadata": {"annotations": {"anchorline.dev/trust": case.name}}}
        case.api.merge("Namespace", late, body=body)
        case.until_says("trust stores that do not carry it yet", late)
        steadily(lambda: case.phases[2] == "Distributing", "it waits for the store", 4)
        found = case.api.get("ConfigMap", "anchorline-trust", late)
        assert found is not None
        assert found["data"] == {"mine": "yes"}
        case.api.delete("ConfigMap", "anchorline-trust", late)
        case.namespaces.append(late)
        case.ended(seconds=200)  # what is not ours is not watched: it is looked at once a minute


@scenario
def a_terminating_namespace_holds_up_nothing(site: Site) -> None:
    """Its store stays as it was for as long as the namespace is ending: nobody can be waited for there."""
    hand = thief(site)
    with rotation(site) as case:
        stuck = case.namespace(certificates=0)
        path = hand.path("ConfigMap", "anchorline-trust", stuck)
        seen(lambda: case.store(stuck), "its store")
        _finalizers(hand, path, ["test.example/never"])
        case.api.delete("Namespace", stuck)
        case.namespaces.remove(stuck)
        case.annotate(rotate="one is ending")
        case.ended()
        _finalizers(hand, path, [])


def _finalizers(hand: Api, path: str, names: list[str]) -> None:
    """Hold an object back from its deletion, or let it go."""
    found = hand.call("GET", path)
    hand.call("PUT", path, {**found, "metadata": {**found["metadata"], "finalizers": names}})


@scenario
def pods_that_read_their_trust_once(site: Site) -> None:
    """An old pod holds the old root in place, and is counted by namespace; a young one does not."""
    with rotation(site, rotation={"waitForPods": True}) as case:
        _pod(case, case.namespaces[0], "old")
        case.annotate(rotate="pods")
        case.until("Active Retiring")
        time.sleep(1.1)  # creation times are whole seconds
        _pod(case, case.namespaces[1], "young")
        case.until_says(
            "1 running pods that started before the new root could be read", f"{case.namespaces[0]} (1)", seconds=120
        )
        steadily(lambda: case.phases[1] == "Retiring", "it waits for the pod", 3)
        case.api.delete("Pod", "old", case.namespaces[0])
        case.until("Active Retired", seconds=90)
        case.ended()


def _pod(case: Rotation, namespace: str, name: str) -> None:
    seen(lambda: case.api.get("ServiceAccount", "default", namespace), "the namespace's service account")
    spec = {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 0}
    labels = {"anchorline.dev/injected": "true"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    case.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})


@scenario
def compromised_at_once(site: Site) -> None:
    """--now: the old root leaves every store at once. The auditor beside it sees who is cut off: it can fail."""
    with (
        rotation(site, NOT_AUDITED, rotation={"propagation": "1h", "overlap": "1h"}) as case,
        Beside(site.plane.kubeconfig, LAG, f"--authority={NOT_AUDITED}") as auditor,
    ):
        said = anchorline(site, "rotate", case.name, "--reason=on the news", "--compromised", "--now")
        assert "these fail" in said
        case.until("Active Retired", seconds=30)
        assert "certificate" in auditor.violation(20)
        case.ended()
