"""Whole rotations as they print, action by action, against tests/golden/plans; UPDATE_GOLDEN=1 rewrites the files."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from tests.support import certificates
from tests.support.builders import a_brought_ca, a_brought_secret, a_namespace
from tests.support.rotation_model import RotationWorld
from tests.support.rotation_model_story import ca, certificate, go_on, one_root, phases, rotate

from anchorline.plan.actions import Action, Emit, SetStatus

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
TURN = {"propagation": "10m", "reissueOver": "10m", "overlap": "1h"}


def ended(world: RotationWorld) -> bool:
    return one_root(world) and len(world.roots) > 1


def told(world: RotationWorld) -> str:
    """Every action until the rotation has ended, under the time and the phases in which it was taken."""
    lines: list[str] = []
    judge, last = world.watch, list[tuple[datetime, object]]()

    def watch(action: Action) -> None:
        judge(action)
        if isinstance(action, SetStatus | Emit):
            return
        if last[-1:] != [(world.now, phases(world))]:
            last.append((world.now, phases(world)))
            lines.append(
                f"\n{world.now:%m-%d %H:%M} " + ", ".join(f"{number} {phase}" for number, phase in phases(world))
            )
        lines.append(f"  {action}")

    world.watch = watch
    go_on(world, ended)
    return "\n".join(lines).lstrip() + "\n"


def a_small_world() -> RotationWorld:
    world = RotationWorld()
    world.put(ca("internal"), a_namespace("shop", trust="internal"), certificate("web", "shop"))
    world.happened()
    world.settle()
    return world


def rotation() -> str:
    """A person asks for a new root."""
    world = a_small_world()
    rotate(world)
    return told(world)


def rotation_compromise() -> str:
    """The root is compromised."""
    world = a_small_world()
    rotate(world, compromised="the key was in a log")
    return told(world)


def rotation_compromise_now() -> str:
    """The root is compromised, and nobody is waited for."""
    world = a_small_world()
    rotate(world, compromised="the key was in a log", **{"compromised-now": "true"})
    return told(world)


def rotation_brought() -> str:
    """The Secret that a user brought holds another root."""
    world = RotationWorld()
    first, second = (certificates.a_root(f"Brought {each}", certificates.ec_key(10 + each)) for each in (1, 2))
    world.put(a_brought_secret([first.certificate], first.key))
    world.put(a_brought_ca(leaf={"duration": "24h"}, rotation=TURN))
    world.put(a_namespace("shop", trust="internal"), certificate("web", "shop"))
    world.happened()
    world.settle()
    world.put(a_brought_secret([second.certificate], second.key))
    world.happened()
    return told(world)


CASES = (rotation, rotation_compromise, rotation_compromise_now, rotation_brought)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_whole_rotation_prints_as_in_its_golden_file(case: Callable[[], str]) -> None:
    file = GOLDEN / f"{case.__name__.replace('_', '-')}.txt"
    printed = f"# {case.__doc__}\n\n{case()}"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(printed)
    assert printed == file.read_text()
