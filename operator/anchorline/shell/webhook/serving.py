"""Keeps the serving certificate: reads what the replicas share, takes the next step, loads what may be served."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from anchorline import pki
from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube.resources import MUTATING_WEBHOOKS, SECRETS, Resource
from anchorline.shell.webhook import rotation, secret
from anchorline.shell.webhook.rotation import Dice, Lives, Material, Pair, Served, Step

LOG: Final = logging.getLogger(__name__)
FIELD_MANAGER: Final = "anchorline-webhook"
_CONFLICT: Final = 409
# Make, publish, and once more for each conflict with another replica.
_STEPS_A_LOOK: Final = 8

Object = dict[str, Any]


class Cluster(Protocol):
    """What is needed of kube.client.Client. All raise ClusterError; its `status` 409 is a conflict."""

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """Read one object, None when it is not there."""

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object."""

    async def replace(self, resource: Resource, obj: Object) -> Object:
        """Replace an object of exactly this resourceVersion."""

    async def apply(self, resource: Resource, obj: Object, *, force: bool = True, manager: str = ...) -> Object:
        """Server-side apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the Secret is, the names to be served, and how long things live."""

    namespace: str
    names: pki.AlternativeNames
    lives: Lives = rotation.DEFAULT_LIVES


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was read in one go: the configuration first, then the Secret (see `rotation.next_step`)."""

    configuration: Object | None
    secret: Object | None
    published: tuple[pki.Certificate, ...] | None
    material: Material | None


class Keeper:
    """One replica's view. `use` is called with every certificate that is to be served from then on."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        *,
        use: Callable[[Pair], None],
        dice: Dice,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._use = use
        self._dice = dice
        self._now = now
        self._seen: dict[pki.Certificate, datetime] = {}
        self.served: Served | None = None

    @property
    def ready(self) -> bool:
        """A certificate is loaded, valid, and caBundle was last seen to hold its CA."""
        served = self.served
        return served is not None and served.authority in self._seen and self._now() < served.pair.certificate.not_after

    @property
    def expired(self) -> bool:
        """The certificate that is served is past its end: every call of the API server fails."""
        return self.served is not None and self.served.pair.certificate.not_after <= self._now()

    async def look(self) -> None:
        """Read, load, and take steps until there is nothing to do. Raises ClusterError."""
        for _ in range(_STEPS_A_LOOK):
            if not await self.advance():
                return

    async def advance(self) -> bool:
        """Read, load, take one step; False when there was none to take. Raises ClusterError."""
        found = await self._read()
        now = self._now()
        self._note(found.published or (), now)
        if found.secret is not None and not secret.is_ours(found.secret):
            LOG.error("Secret %s is not ours and is left alone; delete or rename it", naming.WEBHOOK_SECRET)
            return False
        if found.material:
            self._load(rotation.adopted(self.served, found.material, self._seen, now, self._settings.lives))
        step = self._next(found, now)
        if step is Step.NOTHING:
            return False
        LOG.info("webhook certificate: %s", step.value)
        try:
            await self._take(step, found, now)
        except ClusterError as error:
            if error.status != _CONFLICT:
                raise
        return True

    async def _read(self) -> Found:
        configuration = await self._cluster.find(MUTATING_WEBHOOKS, naming.WEBHOOK_CONFIGURATION)
        found = await self._cluster.find(SECRETS, naming.WEBHOOK_SECRET, self._settings.namespace)
        return Found(
            configuration=configuration,
            secret=found,
            published=secret.published(configuration),
            material=secret.decoded(found) if found else None,
        )

    def _note(self, published: tuple[pki.Certificate, ...], now: datetime) -> None:
        """Remember since when each CA has been in caBundle without a gap, as far as we looked."""
        self._seen = {certificate: self._seen.get(certificate, now) for certificate in published}

    def _load(self, wanted: Served) -> None:
        if wanted == self.served:
            return
        self._use(wanted.pair)
        self.served = wanted
        LOG.info("serving certificate until %s", wanted.pair.certificate.not_after.isoformat())

    def _next(self, found: Found, now: datetime) -> Step:
        if found.material and secret.uneven(found.configuration):
            return Step.PUBLISH
        upcoming = found.material.upcoming if found.material else None
        since = self._seen.get(upcoming.certificate) if upcoming else None
        lives = self._settings.lives
        return rotation.next_step(
            found.material,
            found.published,
            now,
            names=self._settings.names,
            lives=lives,
            settled=since is not None and since + lives.grace <= now,
        )

    async def _take(self, step: Step, found: Found, now: datetime) -> None:
        if step is Step.PUBLISH and found.material and found.configuration:
            patch = secret.bundle_patch(found.material, found.configuration)
            await self._cluster.apply(MUTATING_WEBHOOKS, patch, force=True, manager=FIELD_MANAGER)
            return
        settings = self._settings
        material = rotation.advanced(
            step, found.material, found.published, now, names=settings.names, lives=settings.lives, dice=self._dice
        )
        if found.secret is None:
            await self._cluster.create(SECRETS, secret.encoded(material, settings.namespace))
            return
        version = found.secret["metadata"]["resourceVersion"]
        await self._cluster.replace(SECRETS, secret.encoded(material, settings.namespace, version))
