"""From a key to its plan: observe, then ask the pure rooms."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from anchorline.api.meta import ObjectKey
from anchorline.kube.events import Events
from anchorline.kube.observe import Observer
from anchorline.kube.world import World
from anchorline.plan.actions import Plan
from anchorline.plan.authority_plan import authority, orphaned
from anchorline.plan.certificate import certificate
from anchorline.plan.trust import namespace


@dataclass
class Planner:
    """Plans for live objects, without the events that were said before; it changes nothing."""

    world: World
    observer: Observer
    now: Callable[[], datetime]
    events: Events

    async def plan(self, key: ObjectKey) -> Plan:
        """What should be done now for one object; nothing for one that is gone."""
        return self.events.unsaid(await self._plan(key))

    async def _plan(self, key: ObjectKey) -> Plan:
        match key.kind:
            case "PrivateCA":
                return await self._private_ca(key.name)
            case "Certificate":
                seen = await self.observer.certificate((key.namespace, key.name), self.now())
                return certificate(seen, self.now()) if seen is not None else Plan()
            case "Namespace":
                asking = await self.observer.namespace(key.name, self.now())
                return namespace(asking, self.now()) if asking is not None else Plan()
            case _:
                raise ValueError(f"there are no plans for a {key.kind}")

    async def _private_ca(self, name: str) -> Plan:
        seen = await self.observer.private_ca(name, self.now())
        if seen is not None:
            return authority(seen, self.now())
        material = self.observer.material(name)
        return orphaned(material.roots, material.intermediates, tuple(each.secret for each in material.retired))
