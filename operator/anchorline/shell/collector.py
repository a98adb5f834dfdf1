"""Python's garbage collector, in processes that keep much for long and leave few cycles behind."""

import gc


def rare_collections() -> None:
    """Look for cycles seldom while a process starts: nearly everything that it makes then stays."""
    gc.set_threshold(100_000, 20, 20)


def quiet_collector() -> None:
    """Keep the garbage collector off what is there now: a full collection of it takes longer than 50 reviews.

    Nor is it collected before: of 100,000 objects 1,700 would be found. What comes and goes has hardly any cycles, so
    young objects are looked at less often too.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
