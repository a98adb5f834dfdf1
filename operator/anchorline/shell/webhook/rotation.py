"""PURE: the webhook's own small CA and serving certificate. What step comes next, and what the step makes.

The order that keeps every served certificate verifiable: a new CA is announced in caBundle, seen there for a grace
period, only then signs; the one before stays in caBundle until nothing that it signed is valid any more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from anchorline import pki

# Deleting the Secret again and again makes a CA each time; so many of them stay in caBundle.
MOST_PREVIOUS: Final = 8
_USAGES: Final = ("digital signature", "server auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """How long things live. CA and serving certificate are renewed with a third of their life left."""

    authority: timedelta = timedelta(days=365)
    serving: timedelta = timedelta(days=30)
    # How long every API server may take to act on a changed caBundle (0.45 s was measured for one).
    grace: timedelta = timedelta(seconds=60)


DEFAULT_LIVES: Final = Lives()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, which belong together."""

    certificate: pki.Certificate
    key: pki.PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that the replicas share. `upcoming` is announced but signs nothing yet; of `previous` no key is left.

    `issued_until`: nothing that one of `previous` signed is valid after it.
    """

    current: Pair
    serving: Pair
    upcoming: Pair | None = None
    previous: tuple[pki.Certificate, ...] = ()
    issued_until: datetime | None = None

    @property
    def published(self) -> tuple[pki.Certificate, ...]:
        """What caBundle must hold, newest first."""
        upcoming = (self.upcoming.certificate,) if self.upcoming else ()
        return tuple(dict.fromkeys((*upcoming, self.current.certificate, *self.previous)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one replica serves right now, and the CA under which clients verify it."""

    pair: Pair
    authority: pki.Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Dice:
    """Where keys and serial numbers come from."""

    key: Callable[[], pki.PrivateKey]
    serial: Callable[[], int]


class Step(StrEnum):
    """The next step; each is one write."""

    MAKE = "make"
    PUBLISH = "publish"
    ANNOUNCE = "announce"
    MOVE = "move"
    RENEW = "renew"
    DROP = "drop"
    NOTHING = "nothing"


def alternative_names(names: Iterable[str]) -> pki.AlternativeNames:
    """DNS names and IP addresses, told apart. Raises InvalidSpec for what is neither."""
    names = tuple(names)
    ips = tuple(name for name in names if _is_ip(name))
    return pki.AlternativeNames.parse(dns=tuple(name for name in names if name not in ips), ips=ips)


def next_step(
    material: Material | None,
    published: tuple[pki.Certificate, ...] | None,
    now: datetime,
    *,
    names: pki.AlternativeNames,
    lives: Lives,
    settled: bool,
) -> Step:
    """Decide what to do next. `published` is caBundle as read *before* `material`, None without a configuration.

    `settled`: the upcoming CA has been seen in caBundle for the grace period.
    """
    if material is None:
        return Step.MAKE
    if published is not None and set(published) != set(material.published):
        return Step.PUBLISH
    if material.upcoming and (settled or material.current.certificate.not_after <= now):
        return Step.MOVE
    if _serving_due(material, now, names, lives):
        return Step.RENEW
    if material.upcoming is None and material.current.certificate.not_after - lives.authority / 3 <= now:
        return Step.ANNOUNCE
    if _droppable(material, now):
        return Step.DROP
    return Step.NOTHING


def advanced(
    step: Step,
    material: Material | None,
    published: tuple[pki.Certificate, ...] | None,
    now: datetime,
    *,
    names: pki.AlternativeNames,
    lives: Lives,
    dice: Dice,
) -> Material:
    """Make the material that the step leads to; PUBLISH and NOTHING change none."""
    if material is None:
        return _made_anew(published or (), now, names, lives, dice)
    match step:
        case Step.ANNOUNCE:
            return replace(material, upcoming=_new_authority(now, lives, dice))
        case Step.MOVE if material.upcoming:
            return _moved(material, material.upcoming, now, lives, dice)
        case Step.RENEW:
            # What it had stays for this once: replicas with other settings would renew against each other.
            both = alternative_names(_values(names) + _values(material.serving.certificate.names))
            wanted = both if not _covers(material.serving.certificate, names) else names
            return replace(material, serving=_new_serving(material.current, now, wanted, lives, dice))
        case Step.DROP:
            gone = _droppable(material, now)
            return replace(material, previous=tuple(each for each in material.previous if each not in gone))
        case _:
            return material


def adopted(
    mine: Served | None, material: Material, seen: Mapping[pki.Certificate, datetime], now: datetime, lives: Lives
) -> Served:
    """What a replica should serve: its own, or what the Secret has. `seen`: since when each CA is in caBundle.

    A certificate that clients can verify is not given up for one that some API server may not know yet.
    """
    theirs = Served(pair=material.serving, authority=material.current.certificate)
    if mine is None or mine.pair.certificate.not_after <= now:
        return theirs
    since = seen.get(theirs.authority)
    if since is not None and (since + lives.grace <= now or mine.authority not in seen):
        return theirs
    return mine


def _made_anew(
    published: tuple[pki.Certificate, ...], now: datetime, names: pki.AlternativeNames, lives: Lives, dice: Dice
) -> Material:
    """Nothing readable is left of the old material: new, with what caBundle holds kept there for those who serve it."""
    known = [certificate for certificate in published if certificate.is_ca and now < certificate.not_after]
    known.sort(key=lambda certificate: certificate.not_before, reverse=True)
    current = _new_authority(now, lives, dice)
    return Material(
        current=current,
        serving=_new_serving(current, now, names, lives, dice),
        previous=tuple(known[:MOST_PREVIOUS]),
        issued_until=_whole(now) + lives.serving,
    )


def _moved(material: Material, upcoming: Pair, now: datetime, lives: Lives, dice: Dice) -> Material:
    return Material(
        current=upcoming,
        serving=_new_serving(upcoming, now, material.serving.certificate.names, lives, dice),
        previous=(material.current.certificate, *material.previous)[:MOST_PREVIOUS],
        issued_until=max(_whole(now) + lives.serving, material.serving.certificate.not_after),
    )


def _new_authority(now: datetime, lives: Lives, dice: Dice) -> Pair:
    key, serial = dice.key(), dice.serial()
    not_before, not_after, _ = pki.validity(now, lives.authority, issuer=None)
    # A new subject for every key: two CAs of one name confuse clients (facts/trust-in-clients.md §0 rule 10).
    subject = pki.Subject(common_name=f"anchorline-webhook {_whole(now):%Y-%m-%dT%H:%M:%SZ} {serial:040x}"[:64])
    profile = pki.RootProfile(subject=subject, not_before=not_before, not_after=not_after)
    return Pair(certificate=pki.self_sign_root(profile, key, serial=serial), key=key)


def _new_serving(authority: Pair, now: datetime, names: pki.AlternativeNames, lives: Lives, dice: Dice) -> Pair:
    key, issuer = dice.key(), pki.Issuer(authority.certificate, authority.key)
    not_before, not_after, _ = pki.validity(now, lives.serving, issuer=authority.certificate)
    profile = pki.LeafProfile(
        subject=pki.Subject(), names=names, usages=_USAGES, not_before=not_before, not_after=not_after
    )
    return Pair(certificate=pki.sign_leaf(profile, key.public_key_der, issuer, serial=dice.serial()), key=key)


def _serving_due(material: Material, now: datetime, names: pki.AlternativeNames, lives: Lives) -> bool:
    serving, limit = material.serving.certificate, material.current.certificate.not_after
    if limit <= now:
        return False
    if not _covers(serving, names):
        return True
    # Under a CA that ends soon a new one would end no later: then it is the CA that must change.
    gains = min(_whole(now) + lives.serving, limit) > serving.not_after
    return gains and serving.not_after - lives.serving / 3 <= now


def _droppable(material: Material, now: datetime) -> tuple[pki.Certificate, ...]:
    if material.issued_until is not None and material.issued_until < now:
        return material.previous
    return tuple(certificate for certificate in material.previous if certificate.not_after < now)


def _covers(certificate: pki.Certificate, names: pki.AlternativeNames) -> bool:
    return set(_values(names)) <= set(_values(certificate.names))


def _values(names: pki.AlternativeNames) -> tuple[str, ...]:
    return (*names.dns, *names.ips)


def _whole(now: datetime) -> datetime:
    return now.replace(microsecond=0)


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
