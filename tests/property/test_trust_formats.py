"""Formats of a trust store, whatever happens and wherever the operator dies: no pod is pointed at a missing file."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.builders import a_namespace, a_private_ca
from tests.support.simulation import World
from tests.unit.plan.test_trust import SHOP, STORE

from anchorline.api import naming
from anchorline.kube.trust_files import formats_of

WORDS = st.sampled_from((None, "jks", "wgetrc", "jks,wgetrc", "p12"))
TRUST = st.sampled_from(("internal", "internal,nobody", None))
# What a namespace asks for, whether a pod starts then, whether those that run end, and after which action we die.
TURNS = st.lists(st.tuples(TRUST, WORDS, st.booleans(), st.booleans(), st.integers(0, 3)), max_size=6)


@given(TURNS)
def test_what_a_pod_was_pointed_at_stays_as_long_as_it_runs(
    turns: list[tuple[str | None, str | None, bool, bool, int]],
) -> None:
    world = World()
    world.put(a_private_ca(), a_namespace())
    world.settle()
    running: dict[str, tuple[str, ...]] = {}
    for number, (trust, formats, starts, ends, after) in enumerate(turns):
        world.annotate(SHOP, **{"trust": trust, "trust-formats": formats})
        for name in running if ends else ():
            world.delete("Pod", name, "shop")
        running = {} if ends else running
        world.crashed(SHOP, after)
        stays(world, running)
        value = world.namespace_seen("shop").label(naming.TRUST)
        if starts and naming.is_enabled(value):
            world.run_pod(f"pod-{number}", "shop")
            running[f"pod-{number}"] = naming.label_formats(value)
        world.settle()
        stays(world, running)
    value = world.namespace_seen("shop").label(naming.TRUST)
    trust, formats = turns[-1][:2] if turns else (None, None)
    assert value == (naming.trust_label(naming.trust_formats(formats)[0]) if trust else None)


def stays(world: World, running: dict[str, tuple[str, ...]]) -> None:
    """Assert that the store has each format that the label or a running pod names."""
    value = world.namespace_seen("shop").label(naming.TRUST)
    needed = {*naming.label_formats(value), *(each for formats in running.values() for each in formats)}
    store = world.api.find(STORE)
    if running or naming.is_enabled(value):
        assert store is not None
        assert needed <= {*formats_of((*store["data"], *store.get("binaryData", {})))}
