"""`python -m tests.scenarios.mutant NAME operator ...`: an operator that breaks one rule, to be caught."""

import ctypes
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from anchorline.api.privateca import Phase
from anchorline.cli.main import main
from anchorline.kube.gates import Gates
from anchorline.plan import authority, rotation, rotation_start

Mutation = Callable[[], None]
MUTANTS: dict[str, Mutation] = {}


def mutant(mutate: Mutation) -> Mutation:
    """Register a mutation by its name."""
    MUTANTS[mutate.__name__] = mutate
    return mutate


@mutant
def signs_before_the_root_is_distributed() -> None:
    """The new root is in use as soon as it is there."""
    made: Any = vars(rotation_start)["new_root"]

    def in_use(ca: Any, number: Any, _phase: Any, why: Any, now: Any) -> Any:
        return made(ca, number, Phase.ACTIVE, why, now)

    vars(rotation_start)["new_root"] = in_use


@mutant
def does_not_give_time_to_read() -> None:
    """A gate by what was written, not by what may have been read."""

    def at_once(*_: object, **__: object) -> timedelta:
        return timedelta(days=1)

    vars_of(Gates, "_steady", at_once)


@mutant
def serves_no_bridge() -> None:
    """The served chain ends with the intermediate."""
    vars(authority)["bridge_of"] = lambda *_: None


@mutant
def drops_the_old_root_early() -> None:
    """A root is retired as soon as another is in use."""
    moving: Any = rotation._moving

    def hasty(seen: Any, old: Any, incoming: Any, now: Any) -> Any:
        return replace(moving(seen, old, incoming, now), actions=rotation.retire(seen, old, now), waiting=())

    vars(rotation)["_moving"] = hasty


def vars_of(kind: type, name: str, value: object) -> None:
    """Set something of a class."""
    setattr(kind, name, value)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    MUTANTS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
