"""Signing: what each kind of certificate has in it, what is refused, and that the same inputs give the same bytes."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.support.certificates import (
    DAY,
    NOW,
    YEAR,
    a_bridge,
    a_chain,
    a_leaf,
    a_root,
    an_intermediate,
    assert_is_intermediate,
    assert_is_leaf,
    assert_is_root,
    ec_key,
    rsa_key,
)

from anchorline import pki
from anchorline.errors import CorruptMaterial, InvalidSpec, Reason

KINDS = ["P-256", "P-384", "P-521", "RSA", "Ed25519"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_has_what_the_strictest_clients_ask_for(kind: str) -> None:
    chain = a_chain(kind)
    assert_is_root(chain.root.certificate)
    assert_is_intermediate(chain.intermediate.certificate, chain.root.certificate)
    assert_is_leaf(chain.leaf, chain.intermediate.certificate)
    assert_is_leaf(a_leaf(chain.intermediate, common_name="web"), chain.intermediate.certificate)


@pytest.mark.parametrize(
    ("kind", "hash_name"),
    [("P-256", "sha256"), ("P-384", "sha384"), ("P-521", "sha512"), ("RSA", "sha256"), ("Ed25519", None)],
)
def test_the_signing_hash_goes_with_the_key(kind: str, hash_name: str | None) -> None:
    algorithm = a_chain(kind).leaf.parsed.signature_hash_algorithm
    assert (algorithm.name if isinstance(algorithm, hashes.HashAlgorithm) else None) == hash_name


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_inputs_give_the_same_bytes(kind: str) -> None:
    assert a_chain(kind).served == a_chain(kind).served


def test_constraints_stand_on_the_intermediate_alone() -> None:
    root = a_root()
    intermediate = an_intermediate(root, permitted=("svc",), excluded=("kube-system.svc",)).certificate
    assert (intermediate.permitted_dns, intermediate.excluded_dns) == (("svc",), ("kube-system.svc",))
    assert intermediate.constraints_critical
    assert not an_intermediate(root, critical=False).certificate.constraints_critical
    assert not an_intermediate(root, permitted=()).certificate.permitted_dns
    assert not root.certificate.permitted_dns


@pytest.mark.parametrize(
    ("permitted", "excluded", "leaf", "allowed"),
    [
        (("svc",), (), {"dns": ("web.shop.svc",)}, True),
        (("svc",), (), {"dns": ("web.shop.svc", "example.com")}, False),
        (("svc",), (), {"dns": ("*.shop.svc",)}, True),
        (("svc",), (), {"dns": (), "ips": ("10.0.0.1",)}, True),
        ((), ("pay.svc",), {"dns": ("web.shop.svc",)}, True),
        ((), ("pay.svc",), {"dns": ("a.pay.svc",)}, False),
        ((), ("web.shop.svc",), {"dns": ("*.shop.svc",)}, False),
        (("svc",), (), {"dns": (), "ips": ("10.0.0.1",), "common_name": "example.com"}, False),
        (("svc",), (), {"dns": (), "ips": ("10.0.0.1",), "common_name": "Acme Inc."}, True),
        (("svc",), (), {"dns": (), "ips": ("10.0.0.1",), "common_name": "web"}, True),
    ],
)
def test_a_leaf_gets_no_name_that_clients_would_refuse(
    permitted: tuple[str, ...], excluded: tuple[str, ...], leaf: dict[str, object], allowed: bool
) -> None:
    issuer = an_intermediate(a_root(), permitted=permitted, excluded=excluded)
    if allowed:
        assert_is_leaf(a_leaf(issuer, **leaf), issuer.certificate)  # type: ignore[arg-type]
        return
    with pytest.raises(InvalidSpec) as caught:
        a_leaf(issuer, **leaf)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    "act",
    [
        lambda issuer: a_leaf(issuer, not_after=NOW + 2 * YEAR),
        lambda issuer: a_leaf(issuer, not_before=NOW - 2 * DAY),
        lambda issuer: an_intermediate(issuer, not_after=NOW + 2 * YEAR),
        lambda issuer: pki.cross_sign(
            a_root("2").certificate, issuer, serial=1, not_before=NOW, not_after=NOW + 2 * YEAR
        ),
    ],
)
def test_nothing_outlives_its_issuer(act: Callable[[pki.Issuer], object]) -> None:
    issuer = an_intermediate(a_root(), path_length=3)
    with pytest.raises(InvalidSpec, match="not within that of the issuer"):
        act(issuer)


def test_a_path_length_is_used_up() -> None:
    first = an_intermediate(a_root(), path_length=1)
    second = an_intermediate(first, "Second", ec_key(6), path_length=0)
    assert_is_intermediate(second.certificate, first.certificate)
    with pytest.raises(InvalidSpec, match="path length 0") as caught:
        an_intermediate(second, "Third", ec_key(7))
    assert caught.value.reason is Reason.CONSTRAINT_VIOLATION


def test_an_issuer_has_its_own_key_and_may_sign() -> None:
    chain = a_chain()
    with pytest.raises(CorruptMaterial, match="does not belong") as mismatch:
        pki.Issuer(chain.root.certificate, ec_key(9))
    assert mismatch.value.reason is Reason.KEY_MISMATCH
    with pytest.raises(InvalidSpec, match="may not sign") as leaf:
        pki.Issuer(chain.leaf, chain.leaf_key)
    assert leaf.value.reason is Reason.NOT_A_CA


def test_an_issuers_repr_holds_no_key() -> None:
    shown = repr(a_root())
    assert "Acme Internal 1" in shown
    assert "Name(" not in shown


def test_a_cross_certificate_is_the_new_root_under_the_old_one() -> None:
    bridge = a_bridge()
    assert bridge.cross.subject == bridge.new.subject
    assert bridge.cross.public_key_der == bridge.new.public_key_der
    assert bridge.cross.key_id == bridge.new.key_id
    assert bridge.cross.path_length is None
    assert bridge.cross.is_issued_by(bridge.old)
    assert bridge.cross.authority_key_id == bridge.old.key_id
    assert bridge.intermediate.is_issued_by(bridge.cross)
    assert not bridge.cross.is_self_signed


def test_a_bridge_begins_no_earlier_than_the_root_that_signs_it() -> None:
    old, new = a_root(not_before=NOW), a_root("2", not_before=NOW - DAY).certificate
    cross = pki.cross_sign(new, old, serial=1, not_before=new.not_before, not_after=NOW + DAY)
    assert cross.not_before == NOW


def test_a_leaf_is_not_cross_signed() -> None:
    with pytest.raises(InvalidSpec, match="not a certificate authority"):
        pki.cross_sign(a_chain().leaf, a_root(), serial=1, not_before=NOW, not_after=NOW + DAY)


@pytest.mark.parametrize("serial", [0, -1, 2**159])
def test_a_serial_is_positive_and_fits_twenty_octets(serial: int) -> None:
    profile = pki.RootProfile(subject=pki.Subject("x"), not_before=NOW, not_after=NOW + DAY)
    with pytest.raises(InvalidSpec, match="159 bits"):
        pki.self_sign_root(profile, ec_key(1), serial=serial)


def test_serials_are_made_from_twenty_random_bytes() -> None:
    assert pki.serial_from(bytes(20)) == 1
    assert pki.serial_from(b"\xff" * 20) == 2**159 - 1
    with pytest.raises(InvalidSpec, match="20 random bytes, not 8"):
        pki.serial_from(bytes(8))


def _foreign_root(*extensions: tuple[x509.ExtensionType, bool]) -> pki.Issuer:
    """A root that we did not make: without key identifiers, and with whatever else."""
    key, name = ec_key(8), pki.Subject("Foreign").to_x509()
    usage = a_root().certificate.parsed.extensions.get_extension_for_class(x509.KeyUsage).value
    builder = x509.CertificateBuilder(name, name, key.signing_key.public_key(), 5, NOW - DAY, NOW + YEAR)
    for extension, critical in ((x509.BasicConstraints(True, None), True), (usage, True), *extensions):
        builder = builder.add_extension(extension, critical)
    return pki.Issuer(pki.Certificate.wrap(builder.sign(key.signing_key, hashes.SHA256())), key)


def test_a_foreign_issuer_without_key_identifier_still_signs() -> None:
    issuer = _foreign_root()
    leaf = a_leaf(issuer)
    assert leaf.is_issued_by(issuer.certificate)
    assert leaf.authority_key_id
    crossed = pki.cross_sign(issuer.certificate, a_root(), serial=7, not_before=NOW, not_after=NOW + DAY)
    assert crossed.key_id == leaf.authority_key_id


def test_a_foreign_issuer_with_other_constraints_gives_dns_names_only() -> None:
    issuer = _foreign_root((x509.NameConstraints([x509.RFC822Name("example.com")], None), True))
    assert a_leaf(issuer).is_issued_by(issuer.certificate)
    with pytest.raises(InvalidSpec, match="only DNS names"):
        a_leaf(issuer, ips=("10.0.0.1",))


def test_an_rsa_root_signs_an_ecdsa_leaf() -> None:
    issuer = an_intermediate(a_root(key=rsa_key()), key=rsa_key(1))
    assert_is_leaf(a_leaf(issuer, ec_key(3, 384)), issuer.certificate)
