"""Path validation, each rule as a chain that breaks only it; the verdicts of cryptography's verifier are the same."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from tests.support.certificates import DAY, NOW, YEAR, Chain, a_bridge, a_chain, a_leaf, a_root, an_intermediate, ec_key

from anchorline import pki
from anchorline.errors import Reason

NAME = "web.shop.svc"


def bundle(*roots: pki.Certificate) -> pki.TrustBundle:
    """Trust these."""
    return pki.TrustBundle.of(roots, now=None)


def signed(
    subject: str, key: pki.PrivateKey, issuer: pki.Issuer, *extensions: tuple[x509.ExtensionType, bool], serial: int = 5
) -> pki.Certificate:
    """Whatever we would never sign ourselves: a certificate with just these extensions."""
    builder = x509.CertificateBuilder(
        issuer.name,
        pki.Subject(subject).to_x509(),
        key.signing_key.public_key(),
        serial,
        NOW - DAY,
        NOW + DAY,
    ).add_extension(issuer.authority_key_identifier, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return pki.Certificate.wrap(builder.sign(issuer.key.signing_key, hashes.SHA256()))  # type: ignore[arg-type]


CA = (x509.BasicConstraints(True, None), True)
SIGNS = (a_root().certificate.parsed.extensions.get_extension_for_class(x509.KeyUsage).value, True)
SAN = (x509.SubjectAlternativeName([x509.DNSName(NAME)]), False)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "Ed25519"])
def test_a_sound_chain_verifies_for_each_of_its_names(kind: str) -> None:
    chain = a_chain(kind, dns=(NAME, "*.shop.svc"), ips=("10.0.0.1", "2001:db8::1"))
    for name in (None, NAME, "WEB.shop.svc", "other.shop.svc", "10.0.0.1", "2001:DB8::1"):
        pki.verify_chain(chain.served, chain.roots, now=NOW, dns_name=name)


@pytest.mark.parametrize("name", ["pay.svc", "a.b.shop.svc", "10.0.0.2", ""])
def test_another_name_is_refused(name: str) -> None:
    chain = a_chain(dns=(NAME, "*.shop.svc"), ips=("10.0.0.1",))
    with pytest.raises(pki.ChainError, match="is not for"):
        pki.verify_chain(chain.served, chain.roots, now=NOW, dns_name=name)


def test_a_certificate_without_names_says_so() -> None:
    root = a_root()
    leaf = a_leaf(root, dns=(), usages=("client auth",), common_name=NAME)
    pki.verify_chain((leaf,), bundle(root.certificate), now=NOW, purpose="client auth")
    with pytest.raises(pki.ChainError, match="no name at all"):
        pki.verify_chain((leaf,), bundle(root.certificate), now=NOW, dns_name=NAME, purpose="client auth")


def test_the_bridge_holds_for_old_new_and_both() -> None:
    bridge = a_bridge()
    for roots in ((bridge.old,), (bridge.new,), (bridge.old, bridge.new)):
        pki.verify_chain(bridge.served, bundle(*roots), now=NOW, dns_name=NAME)
    with pytest.raises(pki.ChainError, match=r"CN=Acme Internal 2,O=Acme .* is not among them"):
        pki.verify_chain(bridge.served[:2], bundle(bridge.old), now=NOW)


def test_the_order_after_the_leaf_does_not_matter_and_strangers_do_no_harm() -> None:
    bridge, stranger = a_bridge(), a_root("Stranger", ec_key(30)).certificate
    leaf, intermediate, cross = bridge.served
    for chain in ((leaf, cross, intermediate), (leaf, stranger, bridge.new, cross, intermediate, intermediate)):
        pki.verify_chain(chain, bundle(bridge.old), now=NOW)


def test_a_dead_end_is_left_again() -> None:
    """Two certificates of one intermediate key, the first expired: OpenSSL gives up, a path builder goes on."""
    root = a_root()
    dead = an_intermediate(root, not_after=NOW - timedelta(hours=1)).certificate
    live = an_intermediate(root)
    leaf = a_leaf(live)
    pki.verify_chain((leaf, dead, live.certificate), bundle(root.certificate), now=NOW)
    with pytest.raises(pki.ChainError, match="expired at") as caught:
        pki.verify_chain((leaf, dead), bundle(root.certificate), now=NOW)
    assert caught.value.reason is Reason.EXPIRED


@pytest.mark.parametrize(
    ("now", "rule"),
    [(NOW - timedelta(hours=1), "not valid before"), (NOW + 31 * DAY, "expired"), (NOW + 11 * YEAR, "expired")],
)
def test_dates_count(now: object, rule: str) -> None:
    chain = a_chain()
    with pytest.raises(pki.ChainError, match=rule):
        pki.verify_chain(chain.served, chain.roots, now=now)  # type: ignore[arg-type]


def test_an_expired_root_counts_unless_one_asks_for_java() -> None:
    root = a_root(not_after=NOW - timedelta(hours=1))
    key = ec_key(2)
    intermediate = signed("I", key, root, CA, SIGNS)
    issuer = pki.Issuer(intermediate, key)
    leaf = signed("L", ec_key(3), issuer, SAN)
    pki.verify_chain((leaf, intermediate), bundle(root.certificate), now=NOW, check_anchor_dates=False)
    with pytest.raises(pki.ChainError, match="expired"):
        pki.verify_chain((leaf, intermediate), bundle(root.certificate), now=NOW)


def test_an_intermediate_may_be_asked_about_without_a_purpose() -> None:
    chain = a_chain()
    intermediate = (chain.intermediate.certificate,)
    pki.verify_chain(intermediate, chain.roots, now=NOW, purpose=None)
    pki.verify_chain((chain.root.certificate,), chain.roots, now=NOW, purpose=None)
    with pytest.raises(pki.ChainError, match="expired"):
        pki.verify_chain((chain.root.certificate,), chain.roots, now=NOW + 11 * YEAR, purpose=None)
    with pytest.raises(pki.ChainError, match="not a leaf"):
        pki.verify_chain(intermediate, chain.roots, now=NOW)


def test_nothing_is_not_a_chain() -> None:
    with pytest.raises(pki.ChainError, match="empty"):
        pki.verify_chain((), a_chain().roots, now=NOW)
    with pytest.raises(pki.ChainError, match="one of the 0 trusted roots"):
        pki.verify_chain(a_chain().served, bundle(), now=NOW)
    with pytest.raises(pki.ChainError, match="key unknown"):
        pki.verify_chain((_bare(),), bundle(), now=NOW)


def _bare() -> pki.Certificate:
    name, key = pki.Subject("bare").to_x509(), ec_key(1).signing_key
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + DAY)
    return pki.Certificate.wrap(builder.sign(key, hashes.SHA256()))  # type: ignore[arg-type]


INTERMEDIATES: dict[str, tuple[tuple[tuple[x509.ExtensionType, bool], ...], str]] = {
    "RFC 5280 6.1.4 (k): not a CA": (((x509.BasicConstraints(False, None), True), SIGNS), "may not sign"),
    "RFC 5280 6.1.4 (n): no keyCertSign": ((CA,), "may not sign"),
    "RFC 5280 4.2: unknown critical extension": (
        (CA, SIGNS, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), True)),
        "not understood: 1.2.3.4",
    ),
    "constraints on other names than DNS": (
        (CA, SIGNS, (x509.NameConstraints([x509.RFC822Name("x.org")], None), True)),
        "beside DNS",
    ),
    "RFC 5280 4.2.1.10: outside the permitted": (
        (CA, SIGNS, (x509.NameConstraints([x509.DNSName("example.com")], None), True)),
        "outside what CN=I may issue for",
    ),
    "RFC 5280 4.2.1.10: inside the excluded": (
        (CA, SIGNS, (x509.NameConstraints(None, [x509.DNSName("svc")]), True)),
        "in svc, which CN=I may not",
    ),
    "purposes of an intermediate limit those below": (
        (CA, SIGNS, (x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.2.3.5")]), False)),
        'CN=I is not for "server auth" but for 1.2.3.5',
    ),
}


@pytest.mark.parametrize("case", INTERMEDIATES)
def test_a_bad_intermediate_is_refused(case: str) -> None:
    extensions, rule = INTERMEDIATES[case]
    root, key = a_root(), ec_key(2)
    intermediate = signed("I", key, root, *extensions)
    stand_in = pki.Issuer(signed("I", key, root, CA, SIGNS), key)
    leaf = signed("L", ec_key(3), stand_in, SAN)
    with pytest.raises(pki.ChainError, match=rule):
        pki.verify_chain((leaf, intermediate), bundle(root.certificate), now=NOW)


def test_the_purpose_must_be_among_the_leafs() -> None:
    chain = a_chain(usages=("client auth",))
    pki.verify_chain(chain.served, chain.roots, now=NOW, purpose="client auth")
    with pytest.raises(pki.ChainError, match='not for "server auth" but for client auth'):
        pki.verify_chain(chain.served, chain.roots, now=NOW)
    for usages in (("any",), ()):
        chain = a_chain(usages=usages)
        pki.verify_chain(chain.served, chain.roots, now=NOW)


def test_path_lengths_count_authorities_but_not_self_issued_ones() -> None:
    """RFC 5280 6.1.4 (l): "If the certificate was not self-issued, verify that max_path_length is" > 0."""
    root, key = a_root(), ec_key(2)
    first = pki.Issuer(signed("I", key, root, (x509.BasicConstraints(True, 0), True), SIGNS), key)
    again = pki.Issuer(signed("I", ec_key(5), first, CA, SIGNS), ec_key(5))
    other = pki.Issuer(signed("J", ec_key(6), first, CA, SIGNS), ec_key(6))
    trust = bundle(root.certificate)
    leaf = signed("L", ec_key(3), again, SAN)
    pki.verify_chain((leaf, again.certificate, first.certificate), trust, now=NOW)
    leaf = signed("L", ec_key(3), other, SAN)
    with pytest.raises(pki.ChainError, match="allows 0 authorities below it, not 1"):
        pki.verify_chain((leaf, other.certificate, first.certificate), trust, now=NOW)


def test_a_path_may_not_be_endless() -> None:
    issuer = root = a_root()
    chain: list[pki.Certificate] = []
    for depth in range(9):
        key = ec_key(50 + depth)
        issuer = pki.Issuer(signed(f"I{depth}", key, issuer, CA, SIGNS), key)
        chain.insert(0, issuer.certificate)
    leaf = signed("L", ec_key(3), issuer, SAN)
    with pytest.raises(pki.ChainError, match="no path"):
        pki.verify_chain((leaf, *chain), bundle(root.certificate), now=NOW)


def test_a_tangle_ends_early() -> None:
    """Many certificates of one name and one key, each of which could have issued each other."""
    root, key = a_root(), ec_key(2)
    tangle = pki.Issuer(signed("T", key, pki.Issuer(a_root("T", key).certificate, key), CA, SIGNS, serial=6), key)
    certificates = tuple(signed("T", key, tangle, CA, SIGNS, serial=100 + n) for n in range(14))
    leaf = signed("L", ec_key(3), tangle, SAN)
    with pytest.raises(pki.ChainError, match="more than 128 signature checks"):
        pki.verify_chain((leaf, *certificates), bundle(root.certificate), now=NOW)


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA"])
@pytest.mark.parametrize(
    "change",
    [
        lambda chain: chain.served,
        lambda chain: chain.served[:1],
        lambda chain: (a_leaf(chain.root, chain.leaf_key, dns=(NAME,)),),
        lambda chain: (a_leaf(chain.root, chain.leaf_key, dns=("pay.svc",)),),
        lambda chain: (a_leaf(chain.intermediate, chain.leaf_key, usages=("client auth",)), *chain.served[1:]),
        lambda chain: (
            a_leaf(chain.intermediate, chain.leaf_key, not_before=NOW - DAY, not_after=NOW - DAY / 2),
            *chain.served[1:],
        ),
    ],
)
def test_cryptographys_verifier_says_the_same(
    kind: str, change: Callable[[Chain], tuple[pki.Certificate, ...]]
) -> None:
    chain = a_chain(kind)
    served = change(chain)
    store = verification.Store([root.parsed for root in chain.roots])
    verifier = verification.PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(NAME))
    try:
        verifier.verify(served[0].parsed, [certificate.parsed for certificate in served[1:]])
        theirs = True
    except verification.VerificationError:
        theirs = False
    try:
        pki.verify_chain(served, chain.roots, now=NOW, dns_name=NAME)
        ours = True
    except pki.ChainError:
        ours = False
    assert ours is theirs
