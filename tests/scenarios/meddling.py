"""Somebody deletes and edits, in each phase of a rotation, what it is made of; what is ours is restored."""

from tests.scenarios.stage import data_of, rotation, scenario, thief
from tests.support.operator import SYSTEM, Api, Object, Site
from tests.support.rotation import Rotation, certificates, entry, seen, steadily

PHASES = ("Distributing Active", "Active Active", "Active Retiring")


@scenario
def stores_are_edited_and_deleted(site: Site) -> None:
    hand = thief(site)
    with rotation(site, rotation={"reissueOver": "5s"}) as case:
        case.annotate(rotate="thieves")
        for phases in PHASES:
            case.until(phases)
            for namespace in case.namespaces:
                _spoil_store(case, hand, namespace)
        case.ended()


def _spoil_store(case: Rotation, hand: Api, namespace: str) -> None:
    """Edit one store, then delete it; both roots are there again."""
    path = hand.path("ConfigMap", "anchorline-trust", namespace)
    found = hand.call("GET", path)
    hand.call("PUT", path, {**found, "data": {**data_of(found), "private-ca.crt": "nothing", "ca-bundle.crt": ""}})
    seen(lambda: len(case.store(namespace)) == 2, "the edited store is restored")
    hand.call("DELETE", path)
    seen(lambda: len(case.store(namespace)) == 2, "the deleted store is made again")


@scenario
def leaves_are_edited_and_deleted(site: Site) -> None:
    with rotation(site, rotation={"reissueOver": "5s"}) as case:
        case.annotate(rotate="careless")
        for phases in PHASES:
            case.until(phases)
            one, other = case.namespaces
            case.api.delete("Secret", "web0-tls", one)
            body = {"data": {"ca.crt": "bm9uZQ==", "tls.crt": "bm9uZQ=="}}
            case.api.merge("Secret", "web0-tls", other, body=body)
            seen(lambda: all(_whole(case, each) for each in (one, other)), "both Secrets are whole again")  # noqa: B023
        case.ended()


def _whole(case: Rotation, namespace: str) -> bool:
    secret = case.api.get("Secret", "web0-tls", namespace)
    if secret is None or not entry(secret, "tls.key"):
        return False
    return len(certificates(entry(secret, "tls.crt"))) >= 2 and len(certificates(entry(secret, "ca.crt"))) == 2


@scenario
def authority_secrets_are_deleted(site: Site) -> None:
    """A CA whose root is gone stops and says so; nothing is made in its place; back from a backup, it goes on."""
    with rotation(site, rotation={"reissueOver": "5s", "overlap": "1h"}) as case:
        case.annotate(rotate="lost and found")
        for phases in PHASES:
            case.until(phases)
            seen(lambda: all(len(case.store(each)) == 2 for each in case.namespaces), "both roots in every store")
            for generation in (2, 1):
                _lose_and_find(case, f"{case.name}-root-{generation}")
        case.put(rotation={"overlap": "1s"})
        case.ended()
        assert set(case.phases) == {1, 2}


def _lose_and_find(case: Rotation, name: str) -> None:
    kept = case.api.get("Secret", name, SYSTEM)
    assert kept is not None
    case.api.delete("Secret", name, SYSTEM)
    case.until_says("restore it from a backup")
    steadily(lambda: case.api.get("Secret", name, SYSTEM) is None, "nothing is made in its place", 1)
    assert all(len(case.store(each)) == 2 for each in case.namespaces), "stores keep what they have"
    case.api.create(restored(kept))
    seen(lambda: "from a backup" not in case.says, "it goes on", told=lambda: case.says)


def restored(kept: Object) -> Object:
    """An object as a backup tool puts it back: without what the API server gave it."""
    meta = {key: value for key, value in kept["metadata"].items() if key in {"name", "namespace", "labels"}}
    meta["annotations"] = kept["metadata"].get("annotations") or {}
    rest = {key: value for key, value in kept.items() if key not in {"metadata", "apiVersion", "status"}}
    return {**rest, "metadata": meta}


def _intermediates(case: Rotation) -> set[str]:
    made = case.secrets("intermediate").items()
    return {str(each["metadata"]["uid"]) for name, each in made if "-intermediate-2-" in name}


@scenario
def an_intermediate_is_deleted(site: Site) -> None:
    """The next one is made under the same root, and its leaves are issued anew."""
    with rotation(site, rotation={"reissueOver": "5s"}) as case:
        case.annotate(rotate="no intermediate")
        case.until("Active Active")
        before = _intermediates(case)
        case.api.delete("Secret", f"{case.name}-intermediate-2-1", SYSTEM)
        seen(lambda: bool(_intermediates(case) - before), "another intermediate")
        case.ended()
