"""A Certificate's Secret: issued for a reason, kept while it fits, and said in the status what a person should know."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support import builders, certificates
from tests.support.builders import a_certificate, a_namespace, a_private_ca
from tests.support.certificates import DAY, NOW
from tests.support.simulation import World, settled

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.kube import objects
from anchorline.plan.actions import IssueLeaf, RewriteLeaf
from anchorline.plan.certificate import certificate

WEB, SECRET = ObjectKey("Certificate", "shop", "web"), ObjectKey("Secret", "shop", "web-tls")


def a_world(**spec: Any) -> World:
    return settled(a_private_ca(), a_namespace(), a_certificate(**spec))


def ready(world: World, key: ObjectKey = WEB) -> tuple[str, str, str]:
    found = world.condition(key)
    return found["status"], found["reason"], found["message"]


def leaf(world: World) -> pki.Certificate:
    return world.leaves()[SECRET][1][0]


def why(world: World) -> str:
    """What the next plan would do to the Secret, and why."""
    found = [each for each in world.plan(WEB).actions if isinstance(each, IssueLeaf | RewriteLeaf)]
    return f"{type(found[0]).__name__}: {found[0].why}" if found else ""


def secret_edit(**change: Any) -> Callable[[World], object]:
    return lambda world: world.api.edit(SECRET, lambda obj: obj.update(change))


def meta_edit(part: str, **change: Any) -> Callable[[World], object]:
    return lambda world: world.api.edit(SECRET, lambda obj: obj["metadata"].setdefault(part, {}).update(change))


def data_edit(entry: str, content: bytes) -> Callable[[World], object]:
    text = objects.encoded(x=content).get("x", "")
    return lambda world: world.api.edit(SECRET, lambda obj: obj["data"].update({entry: text}))


def respec(**spec: Any) -> Callable[[World], object]:
    return lambda world: world.put(a_certificate(**spec))


def other_ca(world: World) -> None:
    world.put(a_private_ca("partners"), a_certificate(ca="partners"))
    world.reconcile(ObjectKey("PrivateCA", "", "partners"))


def foreign_leaf(**how: Any) -> Callable[[World], object]:
    """The Secret holds a certificate that we did not make, with the annotation that we did."""

    def change(world: World) -> None:
        chain = certificates.a_chain(**how)
        new = builders.a_leaf_secret(chain.leaf, chain.leaf_key, chain.intermediate.certificate)
        world.api.edit(SECRET, lambda obj: obj.update(data=new["data"]))

    return change


def later(**span: float) -> Callable[[World], object]:
    def change(world: World) -> None:
        world.now += timedelta(**span)

    return change


WHY: dict[str, tuple[Callable[[World], object], str]] = {
    "nothing": (later(days=1), ""),
    "gone": (lambda world: world.api.delete(SECRET), "IssueLeaf: DoesNotExist: there is no Secret yet"),
    "broken certificate": (data_edit("tls.crt", b"garbage"), "IssueLeaf: InvalidKeyPair: tls.crt"),
    "broken key": (
        data_edit("tls.key", b"garbage"),
        "IssueLeaf: InvalidKeyPair: the private key is not a readable",
    ),
    "no key": (data_edit("tls.key", b""), "IssueLeaf: InvalidKeyPair: tls.key is missing"),
    "another key": (
        data_edit("tls.key", certificates.ec_key(50).to_pem()),
        "IssueLeaf: InvalidKeyPair: tls.key does not belong to",
    ),
    "other names": (respec(dnsNames=["api.shop.svc"]), "IssueLeaf: RequestChanged: the Certificate's spec"),
    "other usages": (respec(usages=["client auth"]), "IssueLeaf: RequestChanged"),
    "other duration": (respec(duration="24h"), "IssueLeaf: RequestChanged"),
    "other key": (respec(privateKey={"size": 384}), "IssueLeaf: RequestChanged"),
    "other encoding": (respec(privateKey={"encoding": "PKCS1"}), "IssueLeaf: RequestChanged"),
    "other subject": (respec(subject={"organizations": ["Shop"]}), "IssueLeaf: RequestChanged"),
    "names in another order": (respec(dnsNames=list(reversed(builders.DNS_NAMES))), "IssueLeaf: RequestChanged"),
    "a certificate for others": (
        foreign_leaf(dns=("api.shop.svc",)),
        "IssueLeaf: IncorrectCertificate: the Secret's c",
    ),
    "a key of another kind": (
        foreign_leaf(leaf_kind="P-384", dns=builders.DNS_NAMES),
        "IssueLeaf: IncorrectCertificate: the Secret's key is of another kind",
    ),
    "not ours": (
        foreign_leaf(dns=builders.DNS_NAMES),
        "IssueLeaf: IncorrectIssuer: it was not issued by PrivateCA int",
    ),
    "another CA": (other_ca, "IssueLeaf: IncorrectIssuer: it was not issued by PrivateCA partners"),
    "due": (later(days=21), "IssueLeaf: Renewing: it is due for renewal; it ends at 2026-07-01T12:00:00Z"),
    "expired": (later(days=31), "IssueLeaf: Expired: it expired at 2026-07-01T12:00:00Z"),
    "no trust": (data_edit("ca.crt", b""), "RewriteLeaf: ca.crt is not the CA's current trust set"),
    "a label gone": (
        lambda world: world.api.edit(SECRET, lambda obj: obj["metadata"]["labels"].pop(naming.AUTHORITY_LABEL)),
        "RewriteLeaf: labels, annotations or owner are not what the Certificate says",
    ),
    "a label more": (meta_edit("labels", mine="yes"), ""),
    "an annotation more": (meta_edit("annotations", mine="yes"), ""),
    "another template": (respec(secretTemplate={"labels": {"team": "a"}}), "RewriteLeaf: labels, annotations"),
    "another owner": (respec(deletionPolicy="Retain"), "RewriteLeaf: labels, annotations or owner"),
}


@pytest.mark.parametrize("case", WHY)
def test_a_leaf_is_issued_or_rewritten_for_a_reason_that_a_person_understands(case: str) -> None:
    change, sentence = WHY[case]
    world = a_world()
    before = leaf(world)
    change(world)
    assert why(world).startswith(sentence)
    assert bool(why(world)) is bool(sentence)
    world.settle()
    assert why(world) == ""
    assert (leaf(world) == before) is not sentence.startswith("IssueLeaf")
    world.verify_all()


def test_a_chain_that_is_not_the_one_to_serve_is_rewritten() -> None:
    world = a_world()
    data_edit("tls.crt", leaf(world).pem)(world)
    assert why(world) == "RewriteLeaf: the served chain is not the one for this phase"


def test_the_secret_holds_leaf_and_intermediate_and_the_roots_beside_it() -> None:
    world = a_world()
    name, served, roots = world.leaves()[SECRET]
    root, intermediate = world.made.values()
    assert (name, served[1:], tuple(roots)) == ("internal", (intermediate,), (root,))
    certificates.assert_is_leaf(served[0], intermediate)
    assert world.api.get(SECRET)["type"] == "kubernetes.io/tls"


def test_a_whole_request_stays_as_it_was_issued() -> None:
    policy = {"ipRanges": ["::/0"], "uris": ["spiffe://**"], "emailAddresses": ["*@acme.example"]}
    wish: dict[str, Any] = {
        "ipAddresses": ["fd00:0:0::1"],
        "uris": ["spiffe://Acme/ns/shop"],
        "emailAddresses": ["Ann@ACME.example"],
        "commonName": "web.shop.svc",
        "subject": {"organizations": ["A", "B"], "countries": ["DE"], "serialNumber": "7", "streetAddresses": ["x 1"]},
        "usages": ["server auth", "digital signature"],
    }
    world = settled(a_private_ca(policy=policy), a_namespace(), a_certificate(**wish))
    assert leaf(world).names.uris == ("spiffe://acme/ns/shop",)
    assert leaf(world).subject.serial_number == "7"
    assert why(world) == ""


def test_a_new_certificate_has_a_new_key_unless_the_policy_says_never() -> None:
    for policy, same in (("Always", False), ("Never", True)):
        world = a_world(privateKey={"rotationPolicy": policy})
        key = leaf(world).public_key_der
        world.settle(NOW + 25 * DAY)
        assert (leaf(world).public_key_der == key) is same


@pytest.mark.parametrize("change", [respec(privateKey={"rotationPolicy": "Never", "size": 384}), WHY["broken key"][0]])
def test_a_key_that_does_not_fit_any_more_is_not_kept(change: Callable[[World], object]) -> None:
    world = a_world(privateKey={"rotationPolicy": "Never"})
    key = leaf(world).public_key_der
    change(world)
    assert leaf(world.settle()).public_key_der != key


def test_the_secret_goes_with_its_certificate_unless_it_is_retained() -> None:
    for policy, stays in (("Delete", False), ("Retain", True)):
        world = a_world(deletionPolicy=policy)
        world.delete("Certificate", "web", "shop")
        assert (world.api.find(SECRET) is not None) is stays


# ---- P3


def test_a_leaf_is_capped_at_its_intermediate_and_the_cap_is_said_in_an_event_and_in_the_status() -> None:
    world = a_world(duration="10000h")
    end = world.made["internal-intermediate-1-1"].not_after
    assert leaf(world).not_after == end
    (event,) = world.events
    assert (event.reason, event.about) == ("DurationCapped", WEB)
    assert f"issued until {end:%Y-%m-%dT%H:%M:%SZ}: no certificate outlives its intermediate" in event.note
    assert ready(world)[2].endswith("; shortened from 416 days, 16:00:00: no certificate outlives its intermediate")


def test_a_cap_of_less_than_the_backdate_is_said_too() -> None:
    world = a_world(duration="8759h59m")
    assert "shortened" not in ready(world)[2]
    world = settled(a_private_ca())
    world.now += timedelta(minutes=2)
    world.put(a_namespace(), a_certificate(duration="8760h"))
    world.settle()
    assert "shortened from 365 days, 0:00:00" in ready(world)[2]


def test_the_horizon_of_an_intermediate_is_moved_before_a_leaf_reaches_beyond_it() -> None:
    world = a_world(duration="2000h")
    horizon = world.material("internal").intermediates[0].issued_until
    assert leaf(world).not_after <= horizon <= world.made["internal-intermediate-1-1"].not_after


# ---- what stands in the way


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "another's name": ({"dnsNames": ["web.billing.svc"]}, "NameNotAllowed", "web.billing.svc is not one of namespace"),
    "two of them": ({"dnsNames": ["a.b.svc", "c.d.svc"]}, "NameNotAllowed", "dnsNames; DNS name c.d.svc is not one of"),
    "no name": ({"dnsNames": ["*.svc"]}, "InvalidSpec", 'DNS name "*.svc" needs at least two labels'),
    "no size": ({"privateKey": {"size": 5}}, "InvalidSpec", "privateKey.size 5 does not fit ECDSA"),
    "no CA": (
        {"ca": "nobody"},
        "AuthorityNotFound",
        "PrivateCA nobody does not exist; create it or correct",
    ),
    "excluded": ({"dnsNames": ["x.secret.shop.svc"]}, "ConstraintViolation", "is outside the name constraints"),
    "excluded by a star": ({"dnsNames": ["*.shop.svc"]}, "ConstraintViolation", "is outside the name constraints"),
    "no names at all": ({"dnsNames": []}, "InvalidSpec", 'usage "server auth" needs a name'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_said_once_and_nothing_is_issued(case: str) -> None:
    spec, reason, sentence = REFUSED[case]
    excluded = {"excludedDNSDomains": ["secret.shop.svc"]}
    world = settled(a_private_ca(nameConstraints=excluded), a_namespace(), a_certificate(**spec))
    assert ready(world)[:2] == ("False", reason)
    assert sentence in ready(world)[2]
    assert world.condition(WEB, "Issuing")["message"] == "waiting for the cause to be removed"
    assert [each.reason for each in world.events] == [reason]
    assert world.leaves() == {}


def test_a_common_name_that_clients_would_refuse_is_refused_and_not_tried_for_ever() -> None:
    policy = {"commonNames": ["web.acme.example"], "ipRanges": ["10.0.0.0/8"]}
    wish: dict[str, Any] = {"dnsNames": [], "ipAddresses": ["10.0.0.1"], "commonName": "web.acme.example"}
    world = settled(a_private_ca(policy=policy), a_namespace(), a_certificate(**wish))
    assert ready(world)[1] == "ConstraintViolation"


def test_a_secret_of_somebody_else_is_refused_and_left_alone() -> None:
    mine = builders.a_secret("web-tls", "shop", mine=b"mine")
    world = settled(mine, a_private_ca(), a_namespace(), a_certificate())
    assert ready(world)[:2] == ("False", "SecretNotOurs")
    assert world.api.get(SECRET)["data"] == mine["data"]
    assert world.plan(WEB).look_again == NOW + timedelta(minutes=1)
    world.api.delete(SECRET)
    assert ready(world.settle())[0] == "True"


def test_of_two_certificates_that_want_one_secret_the_older_has_it() -> None:
    world = a_world()
    world.put(a_certificate("late", secretName="web-tls", dnsNames=["api.shop.svc"]))
    world.settle()
    late = ObjectKey("Certificate", "shop", "late")
    assert ready(world, late)[1:] == (
        "SecretContested",
        "Secret web-tls is the older Certificate web's; choose another secretName",
    )
    world.delete("Certificate", "web", "shop")
    assert ready(world.settle(), late)[0] == "True"


def test_a_certificate_whose_ca_is_only_just_being_made_waits_without_a_word() -> None:
    world = World()
    world.put(a_private_ca(), a_namespace(), a_certificate())
    plan = world.plan(WEB)
    assert (plan.actions, plan.look_again) == ((), NOW + timedelta(seconds=5))


@pytest.mark.parametrize("key", [WEB, ObjectKey("Namespace", "", "shop")])
def test_what_is_being_deleted_is_left_alone(key: ObjectKey) -> None:
    world = a_world()
    world.api.delete(SECRET)
    world.api.edit(key, lambda obj: obj["metadata"].update(deletionTimestamp="2026-06-01T12:00:00Z"))
    assert not world.plan(WEB)


def test_while_the_ca_is_in_trouble_a_valid_leaf_stays_ready_until_it_ends() -> None:
    world = a_world()
    world.corrupt("internal-root-1")
    world.settle(NOW + 20 * DAY)
    assert ready(world) == ("True", "Ready", "valid until 2026-07-01T12:00:00Z, and cannot be renewed now")
    issuing = world.condition(WEB, "Issuing")
    assert (issuing["status"], issuing["reason"]) == ("True", "AuthorityNotReady")
    assert world.plan(WEB).look_again == NOW + 30 * DAY
    world.settle(NOW + 31 * DAY)
    assert ready(world)[:2] == ("False", "AuthorityNotReady")
    assert "Secret internal-root-1 cannot be used" in ready(world)[2]


def test_a_signer_that_has_expired_meanwhile_issues_nothing() -> None:
    world = a_world()
    seen = world.observe_certificate("shop", "web")
    assert seen is not None
    late = world.made["internal-intermediate-1-1"].not_after + DAY
    found = certificate(seen, late)
    assert "Ready=False Expired: the issuer CN=Acme Internal Intermediate 1.1" in str(found)
    assert found.look_again == late + timedelta(minutes=1)


def test_a_leaf_that_outlives_its_issuer_is_replaced() -> None:
    world = a_world()
    seen = world.observe_certificate("shop", "web")
    assert seen is not None
    assert seen.authority is not None
    (issued,) = seen.authority.issuers
    shorter = replace(issued, ends=NOW + DAY)
    found = certificate(replace(seen, authority=replace(seen.authority, issuers=(shorter,))), NOW)
    assert "IncorrectCertificate: it would outlive its issuer" in str(found)
