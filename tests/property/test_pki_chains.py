"""Whatever we sign verifies, under our verifier and cryptography's, and nothing outlives its issuer."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509 import verification
from hypothesis import given
from hypothesis import strategies as st
from tests.support.certificates import NOW, YEAR, a_bridge, a_root, an_intermediate, key_of

from anchorline import pki
from anchorline.errors import InvalidSpec

KINDS = st.sampled_from(["P-256", "P-384", "RSA"])
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(lambda labels: ".".join([*labels, "svc"]))
NAMES = st.lists(st.one_of(HOSTS, HOSTS.map("*.{}".format)), min_size=1, max_size=4)
IPS = st.lists(st.ip_addresses().map(str), max_size=2)
SERIALS = st.binary(min_size=20, max_size=20).map(pki.serial_from)
DURATIONS = st.timedeltas(min_value=timedelta(minutes=1), max_value=3 * YEAR)
MOMENTS = st.datetimes(min_value=datetime(2026, 5, 1), max_value=datetime(2027, 8, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=NOW.tzinfo)
)
USAGES = st.lists(st.sampled_from(list(pki.Usage)), unique=True).map(
    lambda words: ("server auth", *(w for w in words if w not in {"cert sign", "crl sign"}))
)


def _host(name: str) -> str:
    return name.replace("*", "any")


@given(
    kind=KINDS, leaf_kind=KINDS, names=NAMES, ips=IPS, common_name=st.sampled_from(["", "web"]), serial=SERIALS,
    usages=USAGES, duration=DURATIONS,
)  # fmt: skip
def test_an_issued_chain_verifies_under_both_verifiers(
    kind: str,
    leaf_kind: str,
    names: list[str],
    ips: list[str],
    common_name: str,
    serial: int,
    usages: tuple[str, ...],
    duration: timedelta,
) -> None:
    root = a_root(key=key_of(kind, 1))
    issuer = an_intermediate(root, key=key_of(kind, 2), permitted=("svc",))
    not_before, not_after, _ = pki.validity(NOW, duration, issuer=issuer.certificate)
    profile = pki.LeafProfile(
        subject=pki.Subject(common_name=common_name),
        names=pki.AlternativeNames.parse(dns=names, ips=ips),
        usages=usages,
        not_before=not_before,
        not_after=not_after,
    )
    leaf = pki.sign_leaf(profile, key_of(leaf_kind, 3).public_key_der, issuer, serial=serial)
    read = pki.Certificate.from_der(leaf.der)
    assert (read, read.subject, read.names) == (leaf, leaf.subject, leaf.names)
    assert leaf.is_issued_by(issuer.certificate)
    assert read.is_issued_by(issuer.certificate)
    assert int(leaf.serial_hex, 16) == serial
    roots = pki.TrustBundle.of([root.certificate], now=NOW)
    store = verification.Store([root.certificate.parsed])
    for name in (*map(_host, names), *ips):
        pki.verify_chain((leaf, issuer.certificate), roots, now=NOW, dns_name=name)
    for name in map(_host, names):
        verifier = verification.PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(name))
        verifier.verify(leaf.parsed, [issuer.certificate.parsed])


@given(moment=MOMENTS, duration=DURATIONS)
def test_a_leaf_never_outlives_its_issuer(moment: datetime, duration: timedelta) -> None:
    issuer = an_intermediate(a_root()).certificate
    try:
        not_before, not_after, capped = pki.validity(moment, duration, issuer=issuer)
    except InvalidSpec:
        too_late = moment > issuer.not_after - timedelta(seconds=1)
        too_early = moment + duration < issuer.not_before + timedelta(seconds=1)
        assert too_late or too_early
        return
    assert issuer.not_before <= not_before < not_after <= issuer.not_after
    assert capped == (moment.replace(microsecond=0) + duration >= issuer.not_after + timedelta(seconds=1))
    assert (not_before.microsecond, not_after.microsecond) == (0, 0)


@given(st.permutations(range(3)), st.sets(st.sampled_from(["old", "new"]), min_size=1))
def test_the_bridge_holds_in_any_order_for_any_roots(order: list[int], trusted: set[str]) -> None:
    bridge = a_bridge()
    others = [bridge.intermediate, bridge.cross, bridge.new]
    roots = pki.TrustBundle.of([getattr(bridge, name) for name in trusted], now=NOW)
    pki.verify_chain((bridge.leaf, *(others[at] for at in order)), roots, now=NOW)


@given(life=DURATIONS, seed=st.text(), before=st.none() | DURATIONS, percentage=st.none() | st.integers(1, 99))
def test_renewal_falls_within_the_life_and_leaves_what_was_asked(
    life: timedelta, seed: str, before: timedelta | None, percentage: int | None
) -> None:
    end = NOW + life
    time = pki.renewal_time(NOW, end, renew_before=before, percentage=percentage, seed=seed)
    assert NOW <= time < end
    assert time == pki.renewal_time(NOW, end, renew_before=before, percentage=percentage, seed=seed)
    if before is None and percentage is None:
        assert end - time >= life / 3
    elif percentage is None and before is not None and pki.renew_before_fits(NOW, end, before):
        assert end - time >= before
