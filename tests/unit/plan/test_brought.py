"""A CA that a user brings in a Secret: recorded, used, never changed, or refused with a sentence."""

from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.support import builders, certificates
from tests.support.builders import OPERATOR_NAMESPACE, a_certificate, a_namespace
from tests.support.certificates import DAY, NOW, YEAR
from tests.support.simulation import World, settled

from anchorline import pki
from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.pki.usages import extended_key_usage

CA = ObjectKey("PrivateCA", "", "internal")
ROOT = "internal-root-1"


def secret(name: str) -> ObjectKey:
    return ObjectKey("Secret", OPERATOR_NAMESPACE, name)


def ready(world: World) -> tuple[str, str, str]:
    found = world.condition(CA)
    return found["status"], found["reason"], found["message"]


def intermediates(world: World) -> list[pki.Certificate]:
    return [made for name, made in world.made.items() if "-intermediate-" in name]


def a_brought_root(root: pki.Issuer, **rest: Any) -> tuple[builders.Object, builders.Object]:
    return builders.a_brought_secret([root.certificate], root.key), builders.a_brought_ca(**rest)


def test_a_brought_root_is_recorded_without_its_key_and_signs_an_intermediate() -> None:
    root = certificates.a_root()
    world = settled(*a_brought_root(root), a_namespace(trust="internal"), a_certificate())
    assert world.made[ROOT] == root.certificate
    assert set(world.api.get(secret(ROOT))["data"]) == {naming.TLS_CERT}
    assert intermediates(world)[0].is_issued_by(root.certificate)
    assert len(world.leaves()) == 1
    world.verify_all()


@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_brought_intermediate_signs_itself_with_its_chain_up_to_the_root(in_one_file: bool) -> None:
    root = certificates.a_root()
    middle = certificates.an_intermediate(root, "Middle", certificates.ec_key(7), permitted=(), path_length=1)
    signer = certificates.an_intermediate(middle)
    chain = [signer.certificate, middle.certificate]
    brought = builders.a_brought_secret(
        [*chain, root.certificate] if in_one_file else chain,
        signer.key,
        above=[] if in_one_file else [root.certificate],
    )
    world = settled(brought, builders.a_brought_ca(), a_namespace(trust="internal"), a_certificate())
    ((_, served, roots),) = world.leaves().values()
    assert served[1:] == tuple(chain)
    assert tuple(roots) == (root.certificate,)
    assert intermediates(world) == []
    world.verify_all()


Fault = tuple[builders.Object | None, str, str]


def brought_faults() -> dict[str, Fault]:
    return {**missing_parts(), **chains_that_break(), **roots_that_clients_refuse(), **keys_that_clients_refuse()}


def missing_parts() -> dict[str, Fault]:
    chain = certificates.a_chain()
    root, lower = chain.root, chain.intermediate
    bring = builders.a_brought_secret
    return {
        "nothing there": (None, "SecretNotFound", "Secret brought of spec.root.secretName is not in the operator's"),
        "no certificate": (builders.a_secret("brought", tls_key=root.key.to_pem()), "CorruptMaterial", "tls.crt"),
        "no key": (builders.a_secret("brought", tls_crt=root.certificate.pem), "CorruptMaterial", "tls.key is missing"),
        "other key": (bring([root.certificate], lower.key), "KeyMismatch", "tls.key does not belong to the first"),
        "no root": (bring([lower.certificate], lower.key), "MaterialIncomplete", "which is not self-signed"),
    }


def chains_that_break() -> dict[str, Fault]:
    chain = certificates.a_chain()
    root, lower = chain.root, chain.intermediate
    other = certificates.a_root("Other", certificates.ec_key(8))
    # We sign no such chain: it was right before its middle was made anew, under the same name and key.
    wide = certificates.an_intermediate(root, "Middle", certificates.ec_key(7), permitted=(), path_length=1)
    middle = certificates.an_intermediate(root, "Middle", certificates.ec_key(7), permitted=())
    deep = certificates.an_intermediate(wide, "Deep", certificates.ec_key(9))
    bring, no_ca = builders.a_brought_secret, "NotACertificateAuthority"
    return {
        "a leaf": (bring([chain.leaf, lower.certificate, root.certificate], chain.leaf_key), no_ca, "is not a CA"),
        "wrong order": (
            bring([lower.certificate, other.certificate], lower.key),
            "MaterialIncomplete",
            "CN=Acme Internal Intermediate 1,O=Acme was not signed by CN=Other,O=Acme",
        ),
        "too deep": (
            bring([deep.certificate, middle.certificate, root.certificate], deep.key),
            no_ca,
            "CN=Middle,O=Acme allows no intermediate below it (pathLenConstraint is 0)",
        ),
    }


# `openssl ecparam -name prime256v1 -param_enc explicit -genkey`: a good curve, written as its parameters.
EXPLICIT = b"""\
-----BEGIN CERTIFICATE-----
MIICfzCCAiWgAwIBAgIUMQkFRs95dDnjI15klO8Naj/QAB8wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIRXhwbGljaXQwHhcNMjYxMTI2MDU1MzAyWhcNMzYxMTIzMDU1
MzAyWjATMREwDwYDVQQDDAhFeHBsaWNpdDCCAUswggEDBgcqhkjOPQIBMIH3AgEB
MCwGByqGSM49AQECIQD/////AAAAAQAAAAAAAAAAAAAAAP///////////////zBb
BCD/////AAAAAQAAAAAAAAAAAAAAAP///////////////AQgWsY12Ko6k+ez671V
dpiGvGUdBrDMU7D2O848PifSYEsDFQDEnTYIhucEk2pmeOETnSa3gZ9+kARBBGsX
0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivO
M1drMV7Oy7ZAaDe/UfUCIQD/////AAAAAP//////////vOb6racXnoTzucrC/GMl
UQIBAQNCAAQ2nNM0PBCLgQRosdxPZEbW1PsKNl55qoXYS+NksCg7n61pYyEjrg3J
S1ItA7167ykPMcrHsN6E5JlfeN5pwS30o2MwYTAdBgNVHQ4EFgQUdxUYLA38k84Z
nFw923lLskndfYkwHwYDVR0jBBgwFoAUdxUYLA38k84ZnFw923lLskndfYkwDwYD
VR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIh
AJ/H0Eu6RZrjg2V7iXzvpmYQhcLwITerrc3H+4fzlaeAAiA4vdLKAwD+bf1ZWCjk
aRmr0+0i0U2Jl3BH8XGxWr33gA==
-----END CERTIFICATE-----
"""


@cache
def keys_that_clients_refuse() -> dict[str, Fault]:
    root, small = certificates.a_root(), pki.PrivateKey.wrap(rsa.generate_private_key(65537, 1024))
    other = pki.PrivateKey.wrap(ec.generate_private_key(ec.SECP256K1()))
    (explicit,) = pki.decode_certificates(EXPLICIT)
    plain = pki.PrivateKey.wrap(rsa.generate_private_key(65537, 2048))
    # The library signs with SHA-1 no more: sha256WithRSAEncryption is called sha1WithRSAEncryption (RFC 8017 A.2.4).
    signature = bytes.fromhex("2a864886f70d0101")
    sha1 = handmade(plain, under="Another").der.replace(signature + b"\x0b", signature + b"\x05")

    def refused(certificate: pki.Certificate, key: pki.PrivateKey, why: str) -> Fault:
        return builders.a_brought_secret([certificate], key), "NotACertificateAuthority", why

    anew, bits = "; make a CA with another key", "has an RSA key of 1024 bits, which OpenSSL refuses: 2048 is the least"
    unread = "has a key that Go does not read: for RSA-PSS alone, a compressed point, or a curve as its parameters"
    curve = "has a key on the curve secp256k1, which Go does not know: use P-256 or P-384"
    broken = "is signed with SHA-1 or MD5, which OpenSSL and Go refuse; have it issued anew"
    return {
        "small": refused(handmade(small), small, bits + anew),
        "curve": refused(handmade(other), other, curve + anew),
        "explicit": refused(explicit, root.key, unread + anew),
        "sha1": refused(pki.Certificate.from_der(sha1), plain, broken),
    }


def roots_that_clients_refuse() -> dict[str, Fault]:
    root = certificates.a_root()
    old = certificates.a_root(not_before=NOW - 2 * DAY, not_after=NOW - DAY)
    young = certificates.a_root(not_before=NOW + DAY)
    constrained = handmade(root.key, x509.NameConstraints([x509.DNSName("svc")], None))
    lax = "CN=Handmade has basicConstraints that are not critical: strict clients, such as Python 3.13, refuse it"

    def refused(certificate: pki.Certificate, key: pki.PrivateKey, why: str) -> Fault:
        return builders.a_brought_secret([certificate], key), "NotACertificateAuthority", why

    return {
        "expired": refused(old.certificate, old.key, "expired at 2026-05-31T12:00:00Z"),
        "not yet": refused(young.certificate, young.key, "is not valid before"),
        "narrow": refused(handmade(root.key, path_length=0), root.key, "pathLenConstraint is 0"),
        "lax": refused(handmade(root.key, critical=False), root.key, lax),
        "no key identifier": refused(constrained, root.key, "has no subject key identifier"),
        "no key identifier above": refused(
            handmade(root.key, under="Another"), root.key, "has no authority key identifier"
        ),
        "no signing": refused(handmade(root.key, signs=False), root.key, "keyCertSign is missing"),
    }


def handmade(
    key: pki.PrivateKey,
    *more: x509.ExtensionType,
    path_length: int | None = None,
    signs: bool = True,
    critical: bool = True,
    under: str = "Handmade",
) -> pki.Certificate:
    """A CA certificate as others make them: a root that names its key, unless it is said otherwise."""
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("Handmade", under))
    usage = x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.signing_key.public_key(), 5, NOW - DAY, NOW + YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=critical)
        .add_extension(usage, critical=True)
    )
    for extension in more or (x509.SubjectKeyIdentifier.from_public_key(key.signing_key.public_key()),):
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.NameConstraints))
    return pki.Certificate.wrap(builder.sign(key.signing_key, hashes.SHA256()))


@pytest.mark.parametrize("case", brought_faults())
def test_what_is_wrong_with_a_brought_ca_is_said_and_nothing_is_made(case: str) -> None:
    brought, reason, sentence = brought_faults()[case]
    world = settled(builders.a_brought_ca(), *filter(None, [brought]))
    assert ready(world)[:2] == ("False", reason)
    assert sentence in ready(world)[2]
    assert world.made == {}


def test_a_name_that_a_brought_root_may_not_give_is_refused_and_not_issued_for_nobody() -> None:
    key, permitted = certificates.ec_key(1), [x509.DNSName("shop.svc"), x509.DNSName("acme.example")]
    named = x509.SubjectKeyIdentifier.from_public_key(key.signing_key.public_key())
    root = handmade(key, named, x509.NameConstraints(permitted, None))
    brought = builders.a_brought_secret([root], key)
    fits = a_certificate("fits", secretName="fits-tls", dnsNames=["web.shop.svc"])
    world = settled(brought, builders.a_brought_ca(), a_namespace(trust="internal"), fits, a_certificate())
    assert world.condition(ObjectKey("Certificate", "shop", "fits"))["status"] == "True"
    refused = world.condition(ObjectKey("Certificate", "shop", "web"))
    assert (refused["status"], refused["reason"]) == ("False", "ConstraintViolation")
    sentence = "DNS name web.shop.svc.cluster.local is outside the name constraints of root Handmade (permitted: "
    assert sentence in refused["message"]
    assert "bring another CA, or ask for other names" in refused["message"]
    assert len(world.leaves()) == 1
    world.verify_all()


@pytest.mark.parametrize(
    ("limits", "usages", "refused"),
    [
        (["server auth"], ["server auth"], []),
        (["server auth"], ["digital signature", "server auth", "client auth"], ["client auth"]),
        (["client auth"], ["server auth"], ["server auth"]),
        (["any", "client auth"], ["client auth", "server auth"], ["server auth"]),
        (["client auth"], ["any"], []),
    ],
)
def test_a_usage_that_a_brought_root_is_not_for_is_refused(
    limits: list[str], usages: list[str], refused: list[str]
) -> None:
    key, purposes = certificates.ec_key(1), extended_key_usage(tuple(limits))
    assert purposes is not None
    root = handmade(key, x509.SubjectKeyIdentifier.from_public_key(key.signing_key.public_key()), purposes)
    wish = a_certificate(usages=usages)
    world = settled(builders.a_brought_secret([root], key), builders.a_brought_ca(), a_namespace(), wish)
    found = world.condition(ObjectKey("Certificate", "shop", "web"))
    assert (found["reason"] == "ConstraintViolation") is bool(refused)
    for each in refused:
        assert (
            f'usage "{each}" is not one of those that root Handmade is limited to ({", ".join(limits)}): '
            in found["message"]
        )
    assert found["message"].count("is not one of those") == len(refused)


def test_a_leaf_ends_with_the_first_of_its_chain_to_end() -> None:
    root = certificates.a_root()
    middle = certificates.an_intermediate(
        root, "Middle", certificates.ec_key(7), permitted=(), path_length=1, not_after=NOW + 9 * DAY
    )
    # Others let a CA outlive the one above it.
    long = pki.Issuer(
        certificates.an_intermediate(root, "Middle", middle.key, permitted=(), path_length=1).certificate, middle.key
    )
    signer = certificates.an_intermediate(long)
    brought = builders.a_brought_secret([each.certificate for each in (signer, middle, root)], signer.key)
    world = settled(brought, builders.a_brought_ca(), a_namespace(trust="internal"), a_certificate())
    ((_, (leaf, *_), _),) = world.leaves().values()
    assert leaf.not_after == NOW + 9 * DAY
    assert [event.reason for event in world.events] == ["DurationCapped"]
    said = world.condition(ObjectKey("Certificate", "shop", "web"))["message"]
    assert "to be renewed as soon as another intermediate signs" in said
    assert "shortened from 30 days" in said
    world.verify_all()
    world.settle(NOW + 8 * DAY)
    assert len(world.leaves()) == 1
    assert world.api.get(ObjectKey("Certificate", "shop", "web"))["status"]["revision"] == 1


def test_a_brought_secret_is_never_changed() -> None:
    world = settled(*a_brought_root(certificates.a_root(), deletionPolicy="Delete"), a_namespace(), a_certificate())
    before = world.api.get(secret("brought"))
    world.delete("PrivateCA", "internal")
    world.settle(NOW + 40 * DAY)
    assert world.api.get(secret("brought")) == before


def test_a_brought_ca_is_looked_at_every_minute() -> None:
    assert settled(*a_brought_root(certificates.a_root())).plan(CA).look_again == NOW + timedelta(minutes=1)


def test_a_subject_that_we_would_not_write_is_read_all_the_same() -> None:
    key = certificates.ec_key(1)
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "x" * 65, _validate=False)])
    builder = x509.CertificateBuilder(name, name, key.signing_key.public_key(), 5, NOW - DAY, NOW + YEAR)
    root = pki.Certificate.wrap(builder.sign(key.signing_key, hashes.SHA256()))
    world = settled(builders.a_brought_secret([root], key), builders.a_brought_ca())
    assert ready(world)[1] == "NotACertificateAuthority"
