"""A PrivateCA's Secrets: made once, renewed in time, and left alone as soon as something is not as it should be."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support import builders, certificates
from tests.support.builders import OPERATOR_NAMESPACE, a_certificate, a_namespace, a_private_ca
from tests.support.certificates import DAY, NOW, YEAR
from tests.support.simulation import World, settled

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey

CA = ObjectKey("PrivateCA", "", "internal")
ROOT, INTERMEDIATE = "internal-root-1", "internal-intermediate-1-1"


def secret(name: str) -> ObjectKey:
    return ObjectKey("Secret", OPERATOR_NAMESPACE, name)


def ready(world: World) -> tuple[str, str, str]:
    found = world.condition(CA)
    return found["status"], found["reason"], found["message"]


def intermediates(world: World) -> list[pki.Certificate]:
    return [made for name, made in world.made.items() if "-intermediate-" in name]


def test_a_new_ca_gets_a_root_and_an_intermediate_each_in_an_immutable_secret() -> None:
    world = settled(a_private_ca())
    root, intermediate = world.made[ROOT], world.made[INTERMEDIATE]
    certificates.assert_is_root(root)
    certificates.assert_is_intermediate(intermediate, root)
    assert root.subject == pki.Subject("Acme Internal Root 1", organizations=("Acme",))
    assert intermediate.common_name == "Acme Internal Intermediate 1.1"
    assert intermediate.permitted_dns == ("svc", "svc.cluster.local")
    assert all(world.api.get(secret(name))["immutable"] for name in (ROOT, INTERMEDIATE))
    assert ready(world)[:2] == ("True", "Ready")


def test_a_ca_without_a_subject_is_named_after_its_object() -> None:
    world = settled(builders.an_object("PrivateCA", "internal", spec={}))
    assert world.made[ROOT].common_name == "internal Root 1"


def test_a_common_name_of_48_characters_makes_room_for_the_generation() -> None:
    world = settled(a_private_ca(subject={"commonName": "x" * 48}))
    assert world.made[ROOT].common_name == "x" * 48 + " Root 1"
    assert intermediates(world)[0].common_name == "x" * 47 + " Intermediate 1.1"
    assert ready(world)[0] == "True"


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"subject": {"commonName": "Acme", "organizations": ["x" * 65]}}, "organizations"),
        ({"subject": {"commonName": "Acme", "countries": ["Germany"]}}, "countries"),
        ({"root": {"key": {"algorithm": "RSA", "size": 256}}}, "256"),
        ({"nameConstraints": {"permittedDNSDomains": ["foo_bar.example"]}}, "foo_bar.example"),
    ],
)
def test_a_spec_that_no_certificate_can_hold_is_said_in_the_status(spec: dict[str, Any], word: str) -> None:
    world = settled(a_private_ca(**spec))
    status, reason, message = ready(world)
    assert (status, reason) == ("False", "InvalidSpec")
    assert word in message
    assert intermediates(world) == []


def test_a_ca_that_is_being_deleted_is_left_alone() -> None:
    world = World()
    world.put(a_private_ca())
    world.api.edit(CA, lambda obj: obj["metadata"].update(deletionTimestamp="2026-06-01T12:00:00Z"))
    assert not world.plan(CA)


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({}, 1),
        ({"policy": {"dnsNames": ["*.acme.example"]}}, 2),
        ({"policy": {"dnsNames": ["*.svc"]}}, 1),
        ({"nameConstraints": {"enabled": False}}, 2),
        ({"nameConstraints": {"critical": False}}, 2),
        ({"nameConstraints": {"enabled": False, "critical": False}}, 2),
        ({"nameConstraints": {"excludedDNSDomains": ["kube-system.svc"]}}, 2),
        ({"intermediate": {"key": {"size": 384}}}, 2),
        ({"leaf": {"duration": "24h"}}, 1),
    ],
)
def test_a_new_intermediate_is_made_only_when_the_one_before_does_not_fit(change: dict[str, Any], made: int) -> None:
    world = settled(a_private_ca(), a_namespace(), a_certificate())
    before = world.api.get(ObjectKey("Secret", "shop", "web-tls"))["data"]
    world.put(a_private_ca(**change))
    world.settle()
    assert len(intermediates(world)) == made
    if "leaf" not in change:
        assert world.api.get(ObjectKey("Secret", "shop", "web-tls"))["data"] == before, "the old one stays valid"


def test_an_intermediate_is_renewed_before_it_would_cap_a_leaf_of_the_longest_duration() -> None:
    ca = a_private_ca(intermediate={"validity": "2400h"}, policy={"maxDuration": "1440h"})
    world = settled(ca)
    (first,) = intermediates(world)
    world.settle(first.not_after - timedelta(hours=1440 * 1.05, minutes=1))
    assert len(intermediates(world)) == 1
    world.put(a_namespace(), a_certificate(duration="1440h"))
    world.settle()
    assert world.leaves().popitem()[1][1][0].not_after == world.now + timedelta(hours=1440)
    world.settle(world.now + timedelta(minutes=2))
    assert len(intermediates(world)) == 2


def test_renew_before_moves_the_renewal_of_the_intermediate() -> None:
    world = settled(a_private_ca(intermediate={"validity": "8760h", "renewBefore": "6000h"}))
    world.settle(NOW + timedelta(hours=2759))
    assert len(intermediates(world)) == 1
    world.settle(NOW + timedelta(hours=2761))
    assert len(intermediates(world)) == 2


def test_an_intermediate_that_lasts_as_long_as_its_root_is_not_made_again_and_again() -> None:
    world = settled(a_private_ca(root={"validity": "1000h", "renewBefore": "1h"}, intermediate={"validity": "2000h"}))
    assert intermediates(world)[0].not_after == world.made[ROOT].not_after
    world.settle(NOW + timedelta(hours=990))
    assert len(intermediates(world)) == 1


@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=1)])
def test_a_root_that_has_ended_signs_no_intermediate_and_the_next_root_is_begun(late: timedelta) -> None:
    world = settled(a_private_ca(root={"validity": "1h"}))
    world.settle(world.made[ROOT].not_after + late)
    assert "internal-intermediate-1-2" not in world.made
    assert "internal-root-2" in world.made


def test_an_expired_intermediate_is_deleted() -> None:
    world = settled(a_private_ca())
    world.settle(NOW + timedelta(days=300))
    world.settle(NOW + timedelta(days=366))
    assert world.api.find(secret(INTERMEDIATE)) is None
    assert ready(world)[0] == "True"


def test_the_plan_says_when_to_look_again() -> None:
    world = settled(a_private_ca())
    again = world.plan(CA).look_again
    assert again is not None
    assert again == intermediates(world)[0].not_after - (YEAR + timedelta(minutes=5)) / 3


# ---- P4: what cannot be read is not touched


@pytest.mark.parametrize("name", [ROOT, INTERMEDIATE])
@pytest.mark.parametrize("entry", [naming.TLS_CERT, naming.TLS_KEY])
def test_an_unreadable_secret_stops_the_ca_and_nothing_is_touched(name: str, entry: str) -> None:
    world = settled(a_private_ca(), a_namespace(trust="internal"), a_certificate())
    world.corrupt(name, entry)
    before = {key: obj for key, obj in world.api.objects.items() if key.kind in ("Secret", "ConfigMap")}
    world.settle(NOW + 25 * DAY)
    status, reason, message = ready(world)
    assert (status, reason) == ("False", "CorruptMaterial")
    assert message.startswith(f"Secret {name} cannot be used: ")
    assert "restore it from a backup" in message
    assert {key: obj for key, obj in world.api.objects.items() if key.kind in ("Secret", "ConfigMap")} == before
    assert [each.reason for each in world.events if each.about == CA] == ["CorruptMaterial"]


def test_a_restored_secret_lets_the_ca_go_on() -> None:
    world = settled(a_private_ca())
    whole = world.api.get(secret(ROOT))["data"]
    world.corrupt(ROOT)
    world.settle()
    world.api.edit(secret(ROOT), lambda obj: obj.update(data=whole))
    world.settle()
    assert ready(world)[0] == "True"


def swap(world: World, name: str, other: builders.Object) -> None:
    world.api.edit(secret(name), lambda obj: obj.update(data=other["data"]))
    world.settle()


def test_an_intermediate_of_another_root_stops_the_ca() -> None:
    world = settled(a_private_ca(), a_namespace(), a_certificate())
    swap(world, INTERMEDIATE, builders.an_authority()[1])
    assert ready(world)[1] == "KeyMismatch"
    assert f"was not made by the root in Secret {ROOT}" in ready(world)[2]
    world.verify_all()


def test_a_root_secret_that_holds_no_root_stops_its_ca_and_no_other() -> None:
    world = settled(a_private_ca(), a_private_ca("partners"), a_namespace(trust="internal,partners"))
    chain = certificates.a_chain()
    leaf = builders.a_leaf_secret(chain.leaf, chain.leaf_key)
    before = world.private_roots("shop")
    swap(world, ROOT, leaf)
    assert ready(world)[1] == "KeyMismatch"
    assert world.private_roots("shop") == before
    assert world.condition(ObjectKey("PrivateCA", "", "partners"))["status"] == "True"


@pytest.mark.parametrize(
    ("gone", "reason", "sentence"),
    [
        ((ROOT,), "MaterialIncomplete", "its root, generation 1, is missing"),
        ((ROOT, INTERMEDIATE), "MaterialIncomplete", f"Secret {ROOT} is gone; restore it from a backup"),
    ],
)
def test_a_lost_root_is_never_made_again(gone: tuple[str, ...], reason: str, sentence: str) -> None:
    world = settled(a_private_ca(), a_namespace(trust="internal"))
    before = world.private_roots("shop")
    for name in gone:
        world.delete("Secret", name, OPERATOR_NAMESPACE)
    world.settle()
    assert ready(world)[1] == reason
    assert sentence in ready(world)[2]
    assert world.private_roots("shop") == before


def test_a_root_in_an_unknown_phase_stops_the_ca() -> None:
    world = settled(a_private_ca())
    world.annotate(secret(ROOT), phase="Sleeping")
    world.settle()
    assert "says 'Sleeping', which is no phase" in ready(world)[2]


def test_a_secret_of_somebody_else_in_the_place_of_the_root_is_refused_and_left_alone() -> None:
    mine = builders.a_secret(ROOT, tls_crt=b"mine")
    world = settled(mine, a_private_ca())
    assert ready(world)[1] == "SecretNotOurs"
    assert ready(world)[2].startswith(f"Secret {ROOT} exists in the operator's namespace and is not marked as")
    assert world.api.get(secret(ROOT))["data"] == mine["data"]
    world.delete("Secret", ROOT, OPERATOR_NAMESPACE)
    assert ready(world.settle())[0] == "True"


# ---- deletion


def test_retain_keeps_the_keys_and_a_ca_that_comes_back_takes_them_up_again() -> None:
    world = settled(a_private_ca(), a_namespace(trust="internal"), a_certificate())
    before = dict(world.made)
    data = world.api.get(ObjectKey("Secret", "shop", "web-tls"))["data"]
    world.delete("PrivateCA", "internal")
    world.settle()
    assert world.api.find(secret(ROOT)) is not None
    assert world.condition(ObjectKey("Certificate", "shop", "web"))["status"] == "True"
    world.put(a_private_ca())
    world.settle()
    assert world.made == before
    assert world.api.get(ObjectKey("Secret", "shop", "web-tls"))["data"] == data


def test_delete_takes_the_secrets_and_the_roots_with_the_ca() -> None:
    world = settled(a_private_ca(deletionPolicy="Delete"), a_namespace(trust="internal"))
    world.delete("PrivateCA", "internal")
    world.settle()
    assert [key for key in world.api.objects if key.kind in ("Secret", "ConfigMap")] == []


def test_a_changed_deletion_policy_is_written_to_the_secrets() -> None:
    world = settled(a_private_ca())
    world.put(a_private_ca(deletionPolicy="Delete"))
    world.settle()
    for name in (ROOT, INTERMEDIATE):
        assert world.api.get(secret(name))["metadata"]["annotations"][naming.KEEP_ANNOTATION] == "Delete"


def test_an_intermediate_that_goes_in_the_same_plan_gets_no_deletion_policy() -> None:
    world = settled(a_private_ca())
    world.put(a_private_ca(deletionPolicy="Delete"))
    world.settle(NOW + timedelta(days=366))
    assert world.api.find(secret(INTERMEDIATE)) is None
    assert world.api.get(secret(ROOT))["metadata"]["annotations"][naming.KEEP_ANNOTATION] == "Delete"


def test_while_one_secret_still_says_retain_nothing_is_deleted() -> None:
    world = settled(a_private_ca())
    world.put(a_private_ca(deletionPolicy="Delete"))
    assert world.crashed(CA, 1)
    world.delete("PrivateCA", "internal")
    world.settle()
    assert {secret(ROOT), secret(INTERMEDIATE)} <= world.api.objects.keys()
