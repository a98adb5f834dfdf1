"""Hypothesis strategies: worlds to plan for, and what users, time and accidents do to them."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import strategies as st
from tests.support import builders
from tests.support.builders import OPERATOR_NAMESPACE, Object
from tests.support.simulation import World

from anchorline.api import naming
from anchorline.api.meta import ObjectKey

Event = Callable[[World], object]

SPACES, CAS = ("shop", "billing"), ("internal", "partners")
DNS = (
    ["web.shop.svc"],
    ["web.shop.svc", "*.web.shop.svc.cluster.local"],
    ["api.billing.svc.cluster.local"],
    ["web.shop.acme.example"],
    ["web"],
)


@st.composite
def private_cas(draw: st.DrawFn, name: str) -> Object:
    """A PrivateCA with any policy, lives long and short."""
    spec: Object = {
        "deletionPolicy": draw(st.sampled_from(("Retain", "Delete"))),
        "policy": {"dnsNames": draw(st.sampled_from(([], ["*.{namespace}.acme.example"], ["**.example"])))},
        "nameConstraints": {"enabled": draw(st.booleans()), "critical": draw(st.booleans())},
        "leaf": {"duration": draw(st.sampled_from(("24h", "720h")))},
        "intermediate": {"validity": draw(st.sampled_from(("48h", "8760h")))},
    }
    return builders.a_private_ca(name, **spec)


@st.composite
def certificates(draw: st.DrawFn, name: str) -> Object:
    """A Certificate in one of two namespaces, maybe for names that it does not get, maybe for the same Secret."""
    secret = draw(st.sampled_from(("tls", f"{name}-tls")))
    keep = draw(st.sampled_from(("Always", "Never")))
    return builders.a_certificate(
        name,
        draw(st.sampled_from(SPACES)),
        ca=draw(st.sampled_from((*CAS, "nobody"))),
        secretName=secret,
        dnsNames=draw(st.sampled_from(DNS)),
        privateKey={"rotationPolicy": keep},
        deletionPolicy=draw(st.sampled_from(("Retain", "Delete"))),
    )


def namespaces(name: str) -> st.SearchStrategy[Object]:
    """A namespace that asks for some CAs, in some formats."""
    asked = st.sampled_from((None, "internal", "internal,partners", "nobody"))
    public = st.sampled_from(({}, {naming.PUBLIC_ROOTS_ANNOTATION: "false"}))
    formats = st.sampled_from(({}, {naming.TRUST_FORMATS_ANNOTATION: "jks, p12, wgetrc"}))
    more = st.builds(lambda one, other: one | other, public, formats)
    return st.builds(lambda trust, more: builders.a_namespace(name, trust=trust, annotations=more), asked, more)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Some CAs, namespaces and Certificates that nobody has looked at yet."""
    world = World()
    world.put(*(draw(namespaces(space)) for space in SPACES))
    world.put(*(draw(private_cas(name)) for name in draw(st.sets(st.sampled_from(CAS), min_size=1))))
    world.put(*(draw(certificates(name)) for name in draw(st.sets(st.sampled_from(("web", "api", "db")), max_size=2))))
    return world


def _later(hours: int) -> Event:
    def event(world: World) -> None:
        world.now += timedelta(hours=hours)

    return event


def _delete(kind: str, name: str, space: str = "") -> Event:
    return lambda world: world.delete(kind, name, space)


def _annotate(space: str, value: str | None) -> Event:
    return lambda world: world.annotate(ObjectKey("Namespace", "", space), trust=value)


def _broken(name: str) -> Event:
    def event(world: World) -> None:
        if world.api.find(ObjectKey("Secret", OPERATOR_NAMESPACE, name)):
            world.corrupt(name)

    return event


def _store_edited(space: str) -> Event:
    def event(world: World) -> None:
        key = ObjectKey("ConfigMap", space, naming.TRUST_STORE)
        if world.api.find(key):
            world.api.edit(key, lambda obj: obj["data"].update({naming.FULL_BUNDLE: "edited"}))

    return event


def _pods(space: str, *, start: bool) -> Event:
    def event(world: World) -> None:
        if world.api.find(ObjectKey("Pod", space, "one")) is not None:
            world.delete("Pod", "one", space)
        if start:
            world.run_pod("one", space)

    return event


def _every_secret_lost(world: World) -> None:
    for key in tuple(world.api.objects):
        if key.kind == "Secret" and key.namespace in SPACES:
            world.api.delete(key)


def events() -> st.SearchStrategy[Event]:
    """One thing that happens to a world: named, so that a failing example reads well."""
    spaces = st.sampled_from(SPACES)
    gone = st.sampled_from(
        (("PrivateCA", "internal"), ("Certificate", "web", "shop"), ("ConfigMap", naming.TRUST_STORE, "shop"))
    )
    return st.one_of(
        st.builds(_later, st.sampled_from((1, 17, 25, 300, 600))),
        gone.map(lambda where: _delete(*where)),
        st.builds(_annotate, spaces, st.sampled_from((None, "internal", "partners,internal", "nobody"))),
        st.builds(_store_edited, spaces),
        st.builds(_pods, spaces, start=st.booleans()),
        st.just(_every_secret_lost),
        private_cas("internal").map(lambda ca: lambda world: world.put(ca)),
        certificates("web").map(lambda wanted: lambda world: world.put(wanted)),
    )


def accidents() -> st.SearchStrategy[Event]:
    """A Secret of a CA that cannot be read any more."""
    return st.sampled_from(("internal-root-1", "internal-intermediate-1-1")).map(_broken)
