"""Subjects and alternative names: what is made canonical, what is refused and by which rule."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.support.certificates import a_chain

from anchorline import pki
from anchorline.errors import InvalidSpec

FULL = pki.Subject(
    "web",
    organizations=("Acme", "Acme Europe"),
    organizational_units=("Shop",),
    countries=("DE",),
    localities=("Köln",),
    provinces=("NRW",),
    street_addresses=("Ring 1",),
    postal_codes=("50667",),
    serial_number="42-A",
)


def test_a_subject_survives_encoding() -> None:
    assert pki.Subject.from_x509(FULL.to_x509()) == FULL
    assert pki.Subject.from_x509(x509.Name([])) == pki.Subject()
    assert str(pki.Subject("web", organizations=("Acme",))) == "CN=web,O=Acme"
    assert bool(FULL)
    assert not pki.Subject()


def test_a_subject_is_written_in_utf8_but_for_country_and_serial_number() -> None:
    types = {attribute.oid: attribute._type.name for attribute in FULL.to_x509()}
    printable = {oid for oid, kind in types.items() if kind == "PrintableString"}
    assert printable == {NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER}
    assert types[NameOID.LOCALITY_NAME] == "UTF8String"


@pytest.mark.parametrize(
    ("subject", "rule"),
    [
        (pki.Subject("x" * 65), "1 to 64"),
        (pki.Subject(organizations=("",)), "1 to 64"),
        (pki.Subject(countries=("D",)), "two-letter"),
        (pki.Subject(countries=("DEU",)), "1 to 2"),
        (pki.Subject(countries=("_-",)), "plain letters"),
        (pki.Subject(serial_number="a_b"), "plain letters"),
        (pki.Subject("a\nb"), "control character"),
        (pki.Subject("ä" * 33), "in UTF-8: bytes"),
        (pki.Subject("\ud800"), "control character"),
    ],
)
def test_a_bad_subject_is_refused(subject: pki.Subject, rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule):
        subject.to_x509()


def test_names_are_made_canonical_in_order_and_once() -> None:
    names = pki.AlternativeNames.parse(
        dns=["Web.Shop.SVC", "*.shop.svc", "web.shop.svc", "xn--kln-sna.example"],
        ips=["10.0.0.1", "2001:DB8:0::1"],
        uris=["SPIFFE://Cluster.Local/ns/Shop", "https://[::1]:8443/x?y#z"],
        emails=["Ops@Example.COM"],
    )
    assert tuple(names) == (
        "DNS:web.shop.svc",
        "DNS:*.shop.svc",
        "DNS:xn--kln-sna.example",
        "IP:10.0.0.1",
        "IP:2001:db8::1",
        "URI:spiffe://cluster.local/ns/Shop",
        "URI:https://[::1]:8443/x?y#z",
        "email:Ops@example.com",
    )
    assert bool(names)
    assert not pki.AlternativeNames()
    assert names.canonical() == names


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("dns", "köln.example", "A-labels"),
        ("dns", "web.shop.svc.", "ends with a dot"),
        ("dns", ".svc", "starts or ends with a dot"),
        ("dns", "", "letters, digits"),
        ("dns", "a..b", "letters, digits"),
        ("dns", "we_b.svc", "underscore"),
        ("dns", "-web.svc", "inner hyphens"),
        ("dns", "web-.svc", "inner hyphens"),
        ("dns", "web svc", "letters, digits"),
        ("dns", "a" * 64 + ".svc", "label of more than 63"),
        ("dns", ".".join(["a" * 60] * 5), "longer than 253"),
        ("dns", "10.0.0.1", "ipAddresses"),
        ("dns", "*", "two labels after the star"),
        ("dns", "*.svc", "two labels after the star"),
        ("dns", "w*.shop.svc", "whole leftmost label"),
        ("dns", "a.*.shop.svc", "whole leftmost label"),
        ("ips", "10.0.0", "neither IPv4 nor IPv6"),
        ("ips", "10.0.0.01", "neither IPv4 nor IPv6"),
        ("ips", "fe80::1%eth0", "zone"),
        ("uris", "/path", "scheme and a host"),
        ("uris", "spiffe:///path", "scheme and a host"),
        ("uris", "https://a b/", "host of letters"),
        ("uris", "https://user@host/", "no user name"),
        ("uris", "https://host/ä", "not ASCII"),
        ("emails", "ops", "local@domain"),
        ("emails", "@example.com", "local@domain"),
        ("emails", "a b@example.com", "local@domain"),
        ("emails", "a" * 65 + "@example.com", "more than 64"),
        ("emails", "ops@*.shop.svc", "bad domain"),
        ("emails", "ops@*", "whole leftmost label"),
    ],
)
def test_a_bad_name_is_refused_with_the_name_and_the_rule(kind: str, value: str, rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule) as caught:
        pki.AlternativeNames.parse(**{kind: [value]})
    assert f'"{value}"' in caught.value.message


def test_names_are_read_back_from_a_certificate() -> None:
    chain = a_chain(ips=("10.0.0.1",))
    assert chain.leaf.names == pki.AlternativeNames(
        dns=("web.shop.svc.cluster.local", "web.shop.svc"), ips=("10.0.0.1",)
    )
    assert not chain.root.certificate.names


@pytest.mark.parametrize(
    ("name", "base", "within", "touches"),
    [
        ("web.shop.svc", "svc", True, True),
        ("svc", "svc", True, True),
        ("WEB.svc", "SVC", True, True),
        ("websvc", "svc", False, False),
        ("web.shop", "svc", False, False),
        ("*.shop.svc", "shop.svc", True, True),
        ("*.shop.svc", "web.shop.svc", False, True),
        ("*.shop.svc", "a.web.shop.svc", False, False),
        ("*.shop.svc", "web.pay.svc", False, False),
        ("web.shop.svc", "", True, True),
        ("web.svc", ".svc", True, True),
        ("svc", ".svc", False, False),
    ],
)
def test_dns_subtrees(name: str, base: str, within: bool, touches: bool) -> None:
    """RFC 5280 4.2.1.10: "Any DNS name that can be constructed by simply adding zero or more labels to the left"."""
    assert pki.within_dns_subtree(name, base) is within
    assert pki.touches_dns_subtree(name, base) is touches


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("web.shop.svc", "WEB.shop.svc", True),
        ("*.shop.svc", "web.shop.svc", True),
        ("*.shop.svc", "a.web.shop.svc", False),
        ("*.shop.svc", "shop.svc", False),
        ("*.shop.svc", ".shop.svc", False),
        ("*.svc", "shop.svc", False),
    ],
)
def test_a_star_stands_for_one_label_above_two_others(pattern: str, host: str, matches: bool) -> None:
    assert pki.matches_dns_name(pattern, host) is matches
