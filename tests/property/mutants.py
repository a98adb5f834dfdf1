"""One decision of a rotation gone wrong at a time: what the model must catch, each by the promise that it breaks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from anchorline.api.privateca import Phase
from anchorline.kube.gates import Gates
from anchorline.pki import issue
from anchorline.plan import authority, certificate, rotation, rotation_start

Mutation = Callable[[pytest.MonkeyPatch], object]


def sign_before_distributed(patch: pytest.MonkeyPatch) -> None:
    """A new root signs as soon as it is made."""
    patch.setattr(rotation, "_distributing", lambda _seen, root, now: rotation.Step(actions=(_active(root, now),)))


def _active(root: Any, now: datetime) -> Any:
    return rotation._mark(root.secret, Phase.ACTIVE, now, "mutant")


def sign_before_it_was_read(patch: pytest.MonkeyPatch) -> None:
    """Every store carries the new root: nobody is given the time to read it."""
    patch.setattr(Gates, "_steady", lambda *_args, **_more: timedelta(days=1))


def sign_before_a_rewritten_store_was_read(patch: pytest.MonkeyPatch) -> None:
    """A store that was written meanwhile does not begin the time anew."""
    real = Gates._steady

    def steady(gates: Gates, fingerprint: str, *, complete: bool) -> timedelta:
        lasting = gates._lasting(gates._complete_since, fingerprint, holds=True)
        return lasting if complete else real(gates, fingerprint, complete=False)

    patch.setattr(Gates, "_steady", steady)


def no_bridge(patch: pytest.MonkeyPatch) -> None:
    """The new root is not cross-signed."""
    patch.setattr(rotation_start, "bridge_until", lambda _old, _now: None)


def bridge_not_served(patch: pytest.MonkeyPatch) -> None:
    """It is cross-signed, and nobody sends it."""
    patch.setattr(authority, "bridge_of", lambda _root, _material, _now: None)


def expired_bridge_served(patch: pytest.MonkeyPatch) -> None:
    """A cross certificate is sent for as long as it exists."""
    patch.setattr(authority, "bridge_of", lambda root, _material, _now: root.bridge)


def old_root_dropped_early(patch: pytest.MonkeyPatch) -> None:
    """The old root goes as soon as the new one signs."""
    retire = rotation.retire
    patch.setattr(rotation, "_moving", lambda seen, old, _new, now: rotation.Step(actions=retire(seen, old, now)))


def horizon_ignored(patch: pytest.MonkeyPatch) -> None:
    """The old root goes while certificates that were issued under it are valid."""
    patch.setattr(rotation, "issued_until", lambda _seen, _root: None)


def horizon_not_raised(patch: pytest.MonkeyPatch) -> None:
    """Certificates reach beyond the horizon."""
    patch.setattr(certificate, "_horizon", lambda *_args: ())


def pods_ignored(patch: pytest.MonkeyPatch) -> None:
    """The old root goes while processes run that read their trust once."""
    patch.setattr(rotation, "_pods", lambda _seen, _old, _now: [])


def moved_ignored(patch: pytest.MonkeyPatch) -> None:
    """The old root goes before servers have read their new certificates."""
    patch.setattr(rotation, "_settling", lambda _seen, _old, _now: [])


def gate_by_counter(patch: pytest.MonkeyPatch) -> None:
    """As many stores as there are namespaces: what is in them is not looked at."""
    patch.setattr(Gates, "_carries", lambda gates, _namespace, _fingerprint: len(gates._world.stores) > 0)


def gate_by_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """The time since a root was made is taken for the time for which it was seen."""

    def distributing(seen: Any, root: Any, now: datetime) -> Any:
        passed = replace(seen, rotation=replace(seen.rotation, steady=now - root.since))
        return REAL_DISTRIBUTING(passed, root, now)

    patch.setattr(rotation, "_distributing", distributing)


REAL_DISTRIBUTING = rotation._distributing


def leaf_outlives_its_chain(patch: pytest.MonkeyPatch) -> None:
    """A leaf is given what was asked for, whatever its issuer has left."""

    def validity(now: datetime, wanted: timedelta, **_: Any) -> tuple[datetime, datetime, bool]:
        return now, now + wanted, False

    patch.setattr(certificate, "validity", validity)
    # Signing looks once more: both have to fail.
    patch.setattr(issue, "_check_within", lambda *_args: None)


def reason_rotates_twice(patch: pytest.MonkeyPatch) -> None:
    """What was asked for once is asked for for ever."""
    patch.setattr(rotation_start, "_causes", lambda _seen: set())
