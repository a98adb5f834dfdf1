"""Promises that hold for every input: names (P7), lives (P3), and that one bad input never blocks the others (P11)."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import builders
from tests.support.builders import a_certificate, a_namespace, a_private_ca
from tests.support.certificates import NOW
from tests.support.depth import examples
from tests.support.simulation import World, settled

from anchorline.api import codec, naming
from anchorline.api.certificate import Certificate
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.errors import InvalidSpec
from anchorline.pki import within_dns_subtree
from anchorline.plan import policy
from anchorline.plan.leaf_request import leaf_request
from anchorline.plan.world import NamespaceSeen

QUICK = settings(max_examples=examples(60))
PATIENT = settings(max_examples=examples(12))

DOMAIN = "cluster.local"
# Words that mean something in a cluster's names are the likely mistakes.
WORDS = st.sampled_from(("web", "shop", "billing", "svc", "cluster", "local", "a", "acme", "example"))
SPACES = st.sampled_from(("shop", "billing", "svc", "cluster", "local", "acme", "web"))
PARTS = st.one_of(WORDS, st.sampled_from(("*", "", "x" * 64, "A", "-", "{namespace}")))
DNS = st.lists(PARTS, min_size=1, max_size=6).map(".".join)
# What an administrator may write who thinks of namespaces only: every label is a star, {namespace}, or his own domain.
OWN_DOMAIN = st.sampled_from(("", ".acme.example", ".local", ".cluster.local", ".example"))
BY_NAMESPACE = st.builds(
    lambda head, end: ".".join((*head, "{namespace}")) + end,
    st.lists(st.sampled_from(("*", "web", "{namespace}")), max_size=3),
    OWN_DOMAIN,
) | st.builds(lambda end: "**.{namespace}" + end, OWN_DOMAIN)


def owner(name: str) -> str | None:
    """The namespace under whose services a name is; None for a name that is under no service."""
    for domain in (f".svc.{DOMAIN}", ".svc"):
        if name.endswith(domain):
            return name.removesuffix(domain).rpartition(".")[2]
    return None


@QUICK
@given(SPACES, DNS, st.lists(BY_NAMESPACE, max_size=2))
def test_no_namespace_gets_a_name_under_the_services_of_another(space: str, name: str, patterns: list[str]) -> None:
    ca = codec.decode_resource(PrivateCA, a_private_ca(policy={"dnsNames": patterns}))
    spec = codec.decode_resource(Certificate, a_certificate(namespace=space, dnsNames=[name])).spec
    try:
        names = leaf_request(spec, ca.spec).names
    except InvalidSpec:
        return
    if not policy.refusals(spec, names, NamespaceSeen(name=space), ca, DOMAIN):
        assert owner(names.dns[0]) in (space, None)
        assert patterns or owner(names.dns[0]) == space


@QUICK
@given(SPACES, DNS, st.lists(st.one_of(BY_NAMESPACE, DNS), max_size=3))
def test_every_granted_name_is_inside_the_constraints_that_the_policy_gives_the_intermediate(
    space: str, name: str, patterns: list[str]
) -> None:
    ca = codec.decode_resource(PrivateCA, a_private_ca(policy={"dnsNames": patterns}))
    try:
        domains = policy.permitted_domains(ca.spec, DOMAIN)
    except InvalidSpec:
        return  # a pattern that no name can ever fit: such a CA signs nothing
    if policy.dns_granted(name.lower(), space, policy.dns_patterns(ca.spec, space, DOMAIN)):
        assert not domains or any(within_dns_subtree(name, base) for base in domains)


HOURS = st.integers(1, 3000).map(lambda hours: f"{hours}h")


@PATIENT
@given(HOURS, HOURS, HOURS, st.lists(st.integers(1, 2000), max_size=4))
def test_no_leaf_outlives_its_chain_at_any_time(root: str, lower: str, leaf: str, waits: list[int]) -> None:
    ca = a_private_ca(root={"validity": root}, intermediate={"validity": lower})
    world = World()
    world.watch = lambda _action: world.verify_all()
    world.put(ca, a_namespace(trust="internal"), a_certificate(duration=leaf))
    world.settle()
    for hours in waits:
        world.now += timedelta(hours=hours)
        world.restart()
        for key in tuple(world.plans()):
            world.reconcile(key)
    for _, chain, _ in world.leaves().values():
        assert chain[0].not_after <= min(each.not_after for each in chain)


def bad_inputs() -> st.SearchStrategy[list[builders.Object]]:
    """Objects of which each is wrong in its own way, and none is one of the good ones."""
    return st.lists(
        st.sampled_from(
            (
                a_private_ca("bad", subject={"commonName": "Bad", "countries": ["Nowhere"]}),
                builders.a_brought_ca("bad", secret="missing"),
                a_private_ca("bad", nameConstraints={"permittedDNSDomains": ["_"]}),
                a_certificate("bad", dnsNames=["web.billing.svc"]),
                a_certificate("bad", ca="nobody"),
                a_certificate("bad", ca="bad"),
                a_certificate("bad", privateKey={"size": 5}),
                a_certificate("bad", secretName="web-tls"),
                a_certificate("bad", "nowhere"),
                a_namespace("bad", trust="bad,nobody,,"),
                builders.an_object("ConfigMap", naming.TRUST_STORE, "bad", version="v1", data={}),
                builders.a_secret("bad-root-1", tls_crt=b"garbage"),
                builders.a_secret("bad-tls", "shop", tls_crt=b"garbage"),
            )
        ),
        min_size=1,
        max_size=5,
    )


@PATIENT
@given(bad_inputs(), st.integers(0, 50))
def test_one_bad_input_does_not_change_the_plans_of_the_others(bad: list[builders.Object], days: int) -> None:
    good = (a_private_ca(), a_namespace(trust="internal"), a_certificate())
    clean, dirty = settled(*good), settled(*good)
    dirty.put(*bad)
    clean.now = dirty.now = NOW + timedelta(days=days)
    for key in (ObjectKey("PrivateCA", "", "internal"), ObjectKey("Certificate", "shop", "web")):
        assert str(dirty.plan(key)) == str(clean.plan(key))
    assert str(dirty.plan(ObjectKey("Namespace", "", "shop"))) == str(clean.plan(ObjectKey("Namespace", "", "shop")))
    dirty.settle()
    assert dirty.condition(ObjectKey("Certificate", "shop", "web"))["status"] == "True"
