"""Convergence: whatever happens, and wherever the operator dies, the cluster ends where nothing is left to do."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import a_certificate
from tests.support.depth import examples
from tests.support.simulation import World
from tests.support.worlds import Event, accidents, events, worlds

from anchorline.api import naming
from anchorline.api.meta import ObjectKey
from anchorline.plan.actions import Action, DeleteAuthority, IssueLeaf

PATIENT = settings(max_examples=examples(12))


def settle_with_crashes(world: World, crashes: list[int]) -> World:
    """Work through all keys; the n-th look at one dies after so many actions, then everything goes on."""
    for after, key in zip(crashes, world.keys() * len(crashes), strict=False):
        world.crashed(key, after)
    return world.settle()


@PATIENT
@given(worlds(), st.lists(events(), max_size=4), st.lists(st.integers(0, 4), max_size=6))
def test_after_a_crash_at_any_action_the_world_ends_at_the_empty_plan_and_every_leaf_verifies_all_the_time(
    world: World, happenings: list[Event], crashes: list[int]
) -> None:
    world.watch = lambda _action: world.verify_all()
    settle_with_crashes(world, crashes)
    for event in happenings:
        event(world)
        settle_with_crashes(world, crashes)
    assert world.plans() == {}
    world.verify_all()


@PATIENT
@given(worlds(), st.lists(events(), max_size=3))
def test_a_restarted_operator_finds_nothing_to_do_and_writes_nothing(world: World, happenings: list[Event]) -> None:
    world.settle()
    for event in happenings:
        event(world)
    world.settle()
    before = len(world.api.writes), len(world.events)
    world.restart()
    world.settle()
    assert (len(world.api.writes), len(world.events)) == before


@PATIENT
@given(worlds(), accidents(), st.lists(events(), max_size=2))
def test_an_unreadable_secret_of_a_ca_is_never_written_and_its_roots_stay_where_they_are_trusted(
    world: World, accident: Event, happenings: list[Event]
) -> None:
    world.settle()
    trusted = {space: world.private_roots(space) for space in ("shop", "billing")}
    accident(world)
    kept = authority_data(world)
    went: set[str] = set()  # with their PrivateCA, as that said: one that comes back under its name makes its own

    def note(action: Action) -> None:
        if isinstance(action, DeleteAuthority) and "deletionPolicy Delete" in action.why:
            went.add(action.secret)

    world.watch = note
    world.settle()
    assert {space: world.private_roots(space) for space in trusted} == trusted
    for event in happenings:
        event(world)
        world.settle()
    now = authority_data(world)
    stayed = [name for name in kept if name in now and name not in went]
    assert {name: now[name] for name in stayed} == {name: kept[name] for name in stayed}


def authority_data(world: World) -> dict[str, object]:
    """Data of every authority Secret: it is immutable."""
    return {
        key.name: obj["data"]
        for key, obj in world.api.objects.items()
        if key.kind == "Secret" and obj["metadata"]["labels"].get(naming.GENERATION_LABEL)
    }


@PATIENT
@given(worlds())
def test_a_new_certificate_costs_two_writes(world: World) -> None:
    world.settle()
    before = len(world.api.writes)
    issued: list[IssueLeaf] = []
    world.watch = lambda action: issued.append(action) if isinstance(action, IssueLeaf) else None
    ca = world.private_cas()[0]
    world.put(a_certificate("new", ca=ca.metadata.name, secretName="new-tls", duration="2h"))
    world.reconcile(ObjectKey("Certificate", "shop", "new"))
    assert len(issued) == 1
    assert len(world.api.writes) - before - 1 == 2
