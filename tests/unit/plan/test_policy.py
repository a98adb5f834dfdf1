"""Policy: who may have which names, and what the intermediate's name constraints follow from."""

from typing import Any

import pytest
from tests.support import builders, certificates

from anchorline import pki
from anchorline.api import codec
from anchorline.api.certificate import Certificate
from anchorline.api.fields import LabelSelector
from anchorline.api.privateca import PrivateCA, PrivateCASpec
from anchorline.errors import InvalidSpec, Reason
from anchorline.plan import policy
from anchorline.plan.leaf_request import leaf_request
from anchorline.plan.world import NamespaceSeen


def a_ca(**spec: Any) -> PrivateCA:
    return codec.decode_resource(PrivateCA, builders.a_private_ca(**spec))


def refusals(
    ca: PrivateCA, *, namespace: str = "shop", labels: tuple[tuple[str, str], ...] = (), **spec: Any
) -> list[str]:
    wanted = codec.decode_resource(Certificate, builders.a_certificate(namespace=namespace, **spec)).spec
    names = leaf_request(wanted, ca.spec).names
    seen = NamespaceSeen(name=namespace, labels=labels)
    return [each.message for each in policy.refusals(wanted, names, seen, ca, "cluster.local")]


OWN = (
    "web.shop.svc",
    "web.shop.svc.cluster.local",
    "pod-0.web.shop.svc.cluster.local",
    "a.b.c.web.shop.svc",
    "*.shop.svc",
    "*.web.shop.svc.cluster.local",
    "WEB.shop.svc",
)
FOREIGN = (
    "web",
    "web.shop",
    "shop.svc",
    "shop.svc.cluster.local",
    "web.billing.svc",
    "web.shop.svc.other.local",
    "*.svc.cluster.local",
    "xshop.svc",
    "web.xshop.svc",
    "web.shop.svc.evil.example",
    "localhost",
)


@pytest.mark.parametrize("name", OWN)
def test_a_namespace_has_every_name_under_its_own_services(name: str) -> None:
    assert refusals(a_ca(), dnsNames=[name]) == []


@pytest.mark.parametrize("name", FOREIGN)
def test_by_default_every_other_name_is_refused_with_the_name_the_rule_and_who_can_change_it(name: str) -> None:
    (sentence,) = refusals(a_ca(), dnsNames=[name])
    assert sentence.startswith(f"DNS name {name} is not one of namespace shop")
    assert "*.shop.svc.cluster.local" in sentence
    assert sentence.endswith("whoever may edit PrivateCA internal can grant more in spec.policy.dnsNames")


@pytest.mark.parametrize(
    ("pattern", "name", "granted"),
    [
        ("db.acme.example", "db.acme.example", True),
        ("db.acme.example", "x.db.acme.example", False),
        ("db.acme.example", "dbxacme.example", False),
        ("*.acme.example", "db.acme.example", True),
        ("*.acme.example", "*.acme.example", True),
        ("*.acme.example", "a.db.acme.example", False),
        ("*.acme.example", "acme.example", False),
        ("**.acme.example", "a.b.c.acme.example", True),
        ("**.acme.example", "acme.example", False),
        ("*.{namespace}.acme.example", "web.shop.acme.example", True),
        ("*.{namespace}.acme.example", "web.billing.acme.example", False),
        ("{namespace}.acme.example", "shop.acme.example", True),
        ("{namespace}-*.acme.example", "shop-1.acme.example", False),
        ("DB.Acme.example", "db.acme.example", True),
        ("web.shop", "web.shop", True),
    ],
)
def test_dns_patterns_grant(pattern: str, name: str, granted: bool) -> None:
    assert (refusals(a_ca(policy={"dnsNames": [pattern]}), dnsNames=[name]) == []) is granted


@pytest.mark.parametrize(
    ("pattern", "namespace", "name"),
    [
        ("**.{namespace}", "svc", "web.shop.svc"),
        ("*.*.{namespace}", "svc", "web.shop.svc"),
        ("**.{namespace}.local", "cluster", "web.shop.svc.cluster.local"),
        ("*.*.{namespace}.cluster.local", "svc", "web.shop.svc.cluster.local"),
        ("*.shop.{namespace}.cluster.local", "svc", "web.shop.svc.cluster.local"),
    ],
)
def test_a_namespace_gets_no_services_of_others_by_what_it_is_called(pattern: str, namespace: str, name: str) -> None:
    assert refusals(a_ca(policy={"dnsNames": [pattern]}), namespace=namespace, dnsNames=[name])


def test_a_policy_may_say_that_services_of_one_namespace_are_granted_to_others() -> None:
    ca = a_ca(policy={"dnsNames": ["{namespace}.proxy.svc"]})
    assert refusals(ca, dnsNames=["shop.proxy.svc"]) == []
    assert refusals(ca, dnsNames=["billing.proxy.svc"])


@pytest.mark.parametrize(
    ("rule", "asked", "granted"),
    [
        ({"ipRanges": ["10.96.0.0/16"]}, {"ipAddresses": ["10.96.3.4"]}, True),
        ({"ipRanges": ["10.96.0.0/16"]}, {"ipAddresses": ["10.97.3.4"]}, False),
        ({"ipRanges": ["10.96.0.9/16"]}, {"ipAddresses": ["10.96.3.4"]}, True),
        ({"ipRanges": ["fd00::/8"]}, {"ipAddresses": ["fd00::1"]}, True),
        ({"ipRanges": ["::/0"]}, {"ipAddresses": ["10.0.0.1"]}, False),
        ({}, {"ipAddresses": ["10.0.0.1"]}, False),
        ({"uris": ["spiffe://acme/ns/{namespace}/sa/*"]}, {"uris": ["spiffe://acme/ns/shop/sa/web"]}, True),
        ({"uris": ["spiffe://acme/ns/{namespace}/sa/*"]}, {"uris": ["spiffe://acme/ns/billing/sa/web"]}, False),
        ({"uris": ["spiffe://acme/ns/{namespace}/sa/*"]}, {"uris": ["spiffe://acme/ns/shop/sa/a/b"]}, False),
        ({"uris": ["spiffe://acme/ns/{namespace}/**"]}, {"uris": ["spiffe://acme/ns/shop/sa/a/b"]}, True),
        ({"uris": ["https://*.acme.example/"]}, {"uris": ["https://web.acme.example/"]}, True),
        ({"uris": ["https://*.acme.example/"]}, {"uris": ["https://evil.example?.acme.example/"]}, False),
        ({"uris": ["https://*.acme.example/"]}, {"uris": ["https://evil.example#.acme.example/"]}, False),
        ({}, {"uris": ["spiffe://acme/x"]}, False),
        ({"emailAddresses": ["*@acme.example"]}, {"emailAddresses": ["ann@acme.example"]}, True),
        ({"emailAddresses": ["*@acme.example"]}, {"emailAddresses": ["ann@evil.example"]}, False),
        ({}, {"emailAddresses": ["ann@acme.example"]}, False),
        ({}, {"commonName": "web.shop.svc"}, True),
        ({}, {"commonName": "Web.Shop.svc"}, True),
        ({}, {"commonName": "web.billing.svc"}, False),
        ({"commonNames": ["web of *"]}, {"commonName": "web of shop"}, True),
        ({"commonNames": ["*.acme.example"]}, {"commonName": "web.acme.example"}, True),
        ({"commonNames": ["web of *"]}, {"commonName": "the web of shop"}, False),
    ],
)
def test_other_kinds_of_names_are_granted_by_the_policy_alone(
    rule: dict[str, list[str]], asked: dict[str, Any], granted: bool
) -> None:
    found = refusals(a_ca(policy=rule), **asked)
    assert (found == []) is granted
    assert all("can grant it in spec.policy." in each for each in found)


@pytest.mark.parametrize(
    ("rule", "asked", "sentence"),
    [
        (
            {},
            {"usages": ["code signing"]},
            'usage "code signing" is not granted by spec.policy of PrivateCA internal.usages',
        ),
        (
            {"keyAlgorithms": ["ECDSA"]},
            {"privateKey": {"algorithm": "RSA"}},
            "key algorithm RSA is not granted by spec.policy of PrivateCA internal.keyAlgorithms",
        ),
        (
            {"maxDuration": "24h"},
            {"duration": "25h"},
            "duration 1 day, 1:00:00 is longer than spec.policy of PrivateCA internal.maxDuration (1 day, 0:00:00)",
        ),
    ],
)
def test_usages_keys_and_durations_beyond_the_policy_are_refused(
    rule: dict[str, Any], asked: dict[str, Any], sentence: str
) -> None:
    assert refusals(a_ca(policy=rule), **asked) == [sentence]


def test_the_defaults_of_the_ca_are_held_against_its_policy_too() -> None:
    assert refusals(a_ca(policy={"maxDuration": "24h"})) != []
    assert refusals(a_ca(policy={"maxDuration": "720h"})) == []
    assert refusals(a_ca(leaf={"usages": ["code signing"]})) != []


def selector(**spec: Any) -> LabelSelector:
    return codec.decode(LabelSelector, spec)


def expression(operator: str, *values: str) -> LabelSelector:
    return selector(matchExpressions=[{"key": "team", "operator": operator, "values": list(values)}])


@pytest.mark.parametrize(
    ("wanted", "team", "matches"),
    [
        (selector(), None, True),
        (selector(matchLabels={"team": "a"}), "a", True),
        (selector(matchLabels={"team": "a"}), "b", False),
        (selector(matchLabels={"team": "a"}), None, False),
        (expression("In", "a", "b"), "b", True),
        (expression("In", "a", "b"), "c", False),
        (expression("In", "a", "b"), None, False),
        (expression("NotIn", "a"), "a", False),
        (expression("NotIn", "a"), "b", True),
        (expression("NotIn", "a"), None, True),
        (expression("Exists"), "a", True),
        (expression("Exists"), None, False),
        (expression("DoesNotExist"), "a", False),
        (expression("DoesNotExist"), None, True),
        (None, None, True),
    ],
)
def test_a_label_selector_matches_as_in_kubernetes(
    wanted: LabelSelector | None, team: str | None, matches: bool
) -> None:
    labels = (("team", team),) if team else ()
    assert policy.selects(wanted, labels, default=True) is matches


def test_a_namespace_that_the_policy_does_not_select_gets_nothing_and_is_told_once() -> None:
    ca = a_ca(policy={"namespaceSelector": {"matchLabels": {"team": "a"}}})
    (sentence,) = refusals(ca, dnsNames=["web.billing.svc"])
    assert "namespace shop may not have certificates from PrivateCA internal" in sentence
    assert refusals(ca, labels=(("team", "a"),)) == []


@pytest.mark.parametrize(
    ("spec", "domains"),
    [
        ({}, ("svc", "svc.cluster.local")),
        ({"policy": {"dnsNames": ["*.{namespace}.Acme.example"]}}, ("acme.example", "svc", "svc.cluster.local")),
        ({"policy": {"dnsNames": ["a.b.example", "**.b.example"]}}, ("b.example", "svc", "svc.cluster.local")),
        ({"policy": {"dnsNames": ["web.shop"]}}, ("svc", "svc.cluster.local", "web.shop")),
        ({"policy": {"dnsNames": ["**.{namespace}"]}}, ()),
        ({"policy": {"dnsNames": ["**.local"]}}, ("local", "svc")),
        ({"nameConstraints": {"enabled": False}}, ()),
        ({"nameConstraints": {"permittedDNSDomains": ["B.example", "a.example"]}}, ("a.example", "b.example")),
    ],
)
def test_the_intermediate_is_permitted_what_the_policy_can_ever_grant(
    spec: dict[str, Any], domains: tuple[str, ...]
) -> None:
    assert policy.permitted_domains(a_ca(**spec).spec, "cluster.local") == domains


HINT = "; the one placeholder is {namespace}"
LABELS = "has a label that is not made of letters, digits and inner hyphens"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"policy": {"dnsNames": ["*.{ns}.a"]}},
            f'spec.policy.dnsNames "*.{{ns}}.a": DNS name "{{ns}}.a" {LABELS}{HINT}',
        ),
        ({"policy": {"dnsNames": ["*.a b"]}}, f'spec.policy.dnsNames "*.a b": DNS name "a b" {LABELS}'),
        (
            {"nameConstraints": {"permittedDNSDomains": ["a b"]}},
            f'spec.nameConstraints.permittedDNSDomains: DNS name "a b" {LABELS}',
        ),
        (
            {"nameConstraints": {"excludedDNSDomains": ["b", "a b"]}},
            f'spec.nameConstraints.excludedDNSDomains: DNS name "a b" {LABELS}',
        ),
    ],
)
def test_what_is_no_domain_is_told_with_its_field(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        both_lists(a_ca(**spec).spec)
    assert caught.value.message == sentence


def both_lists(spec: PrivateCASpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return policy.permitted_domains(spec, "cluster.local"), policy.excluded_domains(spec)


def test_excluded_domains_are_as_written_and_none_when_constraints_are_off() -> None:
    wanted = {"excludedDNSDomains": ["B.example", "a.example"]}
    assert policy.excluded_domains(a_ca(nameConstraints=wanted).spec) == ("a.example", "b.example")
    assert policy.excluded_domains(a_ca(nameConstraints={**wanted, "enabled": False}).spec) == ()


def outside(signer: pki.Certificate, common_name: str = "", **names: Any) -> list[str]:
    wanted = codec.decode_resource(Certificate, builders.a_certificate(**{"dnsNames": [], **names})).spec
    found = policy.outside_constraints(leaf_request(wanted, a_ca().spec).names, common_name, (), signer)
    assert all(each.reason == Reason.CONSTRAINT_VIOLATION for each in found)
    return [each.message for each in found]


def test_a_name_that_every_client_would_refuse_is_told_with_the_constraints() -> None:
    signer = certificates.an_intermediate(certificates.a_root(), excluded=("web.shop.svc",)).certificate
    (sentence,) = outside(signer, dnsNames=["db.acme.example", "api.shop.svc"])
    assert "db.acme.example is outside" in sentence
    assert "(permitted: svc.cluster.local, svc; excluded: web.shop.svc)" in sentence
    assert outside(signer, dnsNames=["*.shop.svc"]), "a wildcard stands for the excluded name too"
    assert outside(signer, dnsNames=["a.web.shop.svc"])


def test_a_common_name_counts_where_there_is_no_dns_name() -> None:
    signer = certificates.an_intermediate(certificates.a_root()).certificate
    assert outside(signer, "db.acme.example", ipAddresses=["10.0.0.1"])
    assert outside(signer, "web of shop", ipAddresses=["10.0.0.1"]) == []


def test_an_intermediate_without_constraints_may_sign_any_name() -> None:
    signer = certificates.an_intermediate(certificates.a_root(), permitted=()).certificate
    assert outside(signer, dnsNames=["db.acme.example"]) == []


class Bounded(pki.Certificate):
    """An intermediate of somebody else's, with constraints beside DNS."""

    has_other_constraints = True


def test_an_intermediate_with_constraints_beside_dns_issues_dns_names_alone() -> None:
    signer = Bounded.wrap(certificates.an_intermediate(certificates.a_root()).certificate.parsed)
    assert outside(signer, dnsNames=["web.shop.svc"]) == []
    for kind, name in (("ipAddresses", "10.0.0.1"), ("uris", "spiffe://a/b"), ("emailAddresses", "a@b.example")):
        (sentence,) = outside(signer, "", **{kind: [name]})
        assert sentence.endswith("has name constraints beside DNS: only DNS names are issued by it")
