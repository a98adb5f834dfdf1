"""PEM, bundles and names: hostile bytes do no harm, order does not matter, and doing it twice changes nothing."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.certificates import DAY, NOW, a_bridge, a_chain, a_root, ec_key
from tests.support.depth import examples

from anchorline import pki
from anchorline.errors import CorruptMaterial, InvalidSpec

BRIDGE = a_bridge()
PEM = pki.encode_certificates((*a_chain().served, *BRIDGE.served))
ROOTS = tuple(a_root(f"Root {n}", ec_key(n), not_before=NOW - (n % 3 + 1) * DAY).certificate for n in range(6))
MUTATIONS = st.lists(st.tuples(st.integers(0, len(PEM)), st.integers(0, 4), st.binary(max_size=4)), max_size=4)
DER_MUTATIONS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=3)


def _mutated(mutations: list[tuple[int, int, bytes]]) -> bytes:
    data = PEM
    for at, drop, put in mutations:
        data = data[:at] + put + data[at + drop :]
    return data


@given(st.one_of(st.binary(max_size=2000), MUTATIONS.map(_mutated)))
@settings(max_examples=examples(100))
@pytest.mark.filterwarnings("ignore")
def test_pem_of_arbitrary_bytes_raises_nothing_but_corrupt_material(data: bytes) -> None:
    try:
        certificates = pki.decode_certificates(data)
    except CorruptMaterial:
        return
    assert pki.decode_certificates(pki.encode_certificates(certificates)) == certificates


@given(DER_MUTATIONS)
@settings(max_examples=examples(100))
@pytest.mark.filterwarnings("ignore")
def test_whatever_der_is_accepted_can_be_read_whole(mutations: list[tuple[int, int]]) -> None:
    der = bytearray(BRIDGE.intermediate.der)
    for at, byte in mutations:
        der[at % len(der)] = byte
    try:
        certificate = pki.Certificate.from_der(bytes(der))
    except CorruptMaterial:
        return
    assert pki.describe(certificate)
    assert certificate.subject is not None
    assert certificate.is_issued_by(BRIDGE.new) in {True, False}
    _ = (certificate.path_length, certificate.has_other_constraints, certificate.is_self_signed, certificate.pem)


@given(st.lists(st.sampled_from(ROOTS)), st.randoms(use_true_random=False))
def test_a_bundle_does_not_depend_on_order_or_repetition(roots: list[pki.Certificate], random: object) -> None:
    bundle = pki.TrustBundle.of(roots, now=NOW)
    shuffled = list(roots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = pki.TrustBundle.of(shuffled + roots, now=NOW)
    assert again.pem == bundle.pem
    assert again.digest == bundle.digest
    assert pki.TrustBundle.of(pki.decode_certificates(bundle.pem), now=NOW) == bundle == bundle | bundle
    assert all(a.not_before >= b.not_before for a, b in itertools.pairwise(bundle))


@given(
    st.lists(st.text(alphabet="aB1-.*_é", max_size=12), max_size=3),
    st.lists(st.ip_addresses().map(str), max_size=2),
    st.lists(st.from_regex(r"[A-Za-z]{1,5}://[A-Za-z0-9.-]{1,9}(/[!-~]{0,5})?", fullmatch=True), max_size=2),
    st.lists(st.emails(), max_size=2),
)
def test_parsing_names_is_idempotent(dns: list[str], ips: list[str], uris: list[str], emails: list[str]) -> None:
    try:
        names = pki.AlternativeNames.parse(dns=dns, ips=ips, uris=uris, emails=emails)
    except InvalidSpec:
        return
    assert names.canonical() == names
    names.to_x509()


@given(st.text(max_size=70), st.lists(st.text(max_size=70), max_size=2))
def test_a_subject_is_refused_or_survives(common_name: str, organizations: list[str]) -> None:
    subject = pki.Subject(common_name, organizations=tuple(organizations))
    try:
        encoded = subject.to_x509()
    except InvalidSpec:
        return
    assert pki.Subject.from_x509(encoded) == subject
