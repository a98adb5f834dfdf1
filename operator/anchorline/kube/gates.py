"""What the gates of a rotation look at: who carries the new root, since when, and who is still under an old one.

Durations are of a monotonic clock and of this process alone: a clock that jumps opens no gate, and an operator that
comes back waits once more for what it did not see.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from anchorline.api import naming, times
from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.api.privateca import Phase, PrivateCA
from anchorline.kube.resources import PODS
from anchorline.kube.world import World
from anchorline.plan.world import LeafSecret, Material, NamespaceSeen, RootSeen, RotationSeen


class Gates:
    """Watches one World for rotations."""

    def __init__(self, world: World, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._world, self._monotonic = world, monotonic
        self._complete_since: dict[str, float] = {}
        self._moved_since: dict[str, float] = {}

    async def rotation(
        self, ca: PrivateCA, material: Material, asking: Iterable[NamespaceSeen], now: datetime
    ) -> RotationSeen:
        """What a rotation of this CA has come to; nothing when there is only one root, and it is in use."""
        roots = sorted((root for root in material.roots if root.certificate), key=lambda root: root.generation)
        if not roots or (len(roots) == 1 and roots[0].phase is Phase.ACTIVE):
            return RotationSeen()
        newest = roots[-1]
        assert newest.certificate is not None  # noqa: S101 - only readable ones are among them
        fingerprint = newest.certificate.fingerprint
        namespaces = tuple(asking)
        leaves = tuple(self._leaves(ca.metadata.name))
        stores_lacking = tuple(sorted(each.name for each in namespaces if not self._carries(each.name, fingerprint)))
        leaves_lacking = tuple(
            sorted(
                f"{resource.metadata.namespace}/{resource.spec.secret_name}"
                for resource, leaf in leaves
                if fingerprint not in leaf.trusted
            )
        )
        under = _under(leaves, material, now)
        older = any(count for generation, count in under if generation < newest.generation)
        steady = self._steady(fingerprint, complete=not stores_lacking and not leaves_lacking)
        return RotationSeen(
            stores_lacking=stores_lacking,
            leaves_lacking=leaves_lacking,
            steady=steady,
            moved=self._lasting(self._moved_since, fingerprint, holds=not older),
            under=under,
            pods=await self._pods(ca, roots, {each.name for each in namespaces}, now),
            youngest=await self._youngest(ca, newest, steady),
        )

    def _leaves(self, ca: str) -> Iterator[tuple[CertificateResource, LeafSecret]]:
        """Certificates that live, and their Secrets, as far as this CA issued what is in them."""
        for resource in self._world.certificates.values():
            namespace = resource.metadata.namespace
            if self._world.served_by(resource) != ca or resource.metadata.deleting or self._ending(namespace):
                continue
            leaf = self._world.leaf((namespace, resource.spec.secret_name))
            if leaf is not None and leaf.certificate_name == resource.metadata.name and not leaf.problem:
                yield resource, leaf

    def _ending(self, namespace: str) -> bool:
        seen = self._world.namespaces.get(("", namespace))
        return seen is None or seen.deleting

    def _carries(self, namespace: str, fingerprint: str) -> bool:
        store = self._world.stores.get((namespace, naming.TRUST_STORE))
        return store is not None and fingerprint in store.private.fingerprints

    def _steady(self, fingerprint: str, *, complete: bool) -> timedelta:
        """How long nobody has lacked the root; a store that was written meanwhile begins the time anew."""
        lasting = self._lasting(self._complete_since, fingerprint, holds=complete)
        changed = self._world.trust_changed.get(fingerprint)
        if not complete or changed is None:
            return lasting
        return min(lasting, timedelta(seconds=self._monotonic() - changed))

    def _lasting(self, since: dict[str, float], fingerprint: str, *, holds: bool) -> timedelta:
        if not holds:
            since.pop(fingerprint, None)
            return timedelta(0)
        return timedelta(seconds=self._monotonic() - since.setdefault(fingerprint, self._monotonic()))

    async def _pods(
        self, ca: PrivateCA, roots: list[RootSeen], namespaces: set[str], now: datetime
    ) -> tuple[tuple[str, int], ...] | None:
        """Running injected pods that are older than the time from which the newest root could be read everywhere."""
        rotation, retiring = ca.spec.rotation, [root for root in roots if root.phase is Phase.RETIRING]
        waits = any(now >= root.since + rotation.overlap for root in retiring)
        if not rotation.wait_for_pods or not waits:
            return None
        readable = roots[-1].since
        old = (namespace for namespace, created in await self._injected() if created < readable)
        return tuple(sorted(Counter(each for each in old if each in namespaces).items()))

    async def _youngest(self, ca: PrivateCA, newest: RootSeen, steady: timedelta) -> datetime | None:
        """When the youngest injected pod was created, asked when the newest root is about to sign."""
        turn = ca.spec.rotation
        if newest.phase is not Phase.DISTRIBUTING or not turn.wait_for_pods or steady < turn.propagation:
            return None
        return max((created for _, created in await self._injected()), default=None)

    async def _injected(self) -> list[tuple[str, datetime]]:
        """Namespaces and creation times of running injected pods."""
        listing = await self._world.client.list(
            PODS,
            labels=f"{naming.INJECTED_LABEL}=true",
            fields="status.phase!=Succeeded,status.phase!=Failed",
            metadata_only=True,
        )
        metas = (item["metadata"] for item in listing.items)
        return [(meta["namespace"], times.parse_time(meta["creationTimestamp"])) for meta in metas]


def _under(
    leaves: tuple[tuple[CertificateResource, LeafSecret], ...], material: Material, now: datetime
) -> tuple[tuple[int, int], ...]:
    """Live leaves by the generation of their root, told by key identifiers.

    One whose intermediate is gone counts for the oldest root: it is served until it is issued anew. One that has
    ended counts for none: nobody verifies it.
    """
    generations = {
        each.certificate.key_id: each.generation for each in material.intermediates if each.certificate is not None
    }
    oldest = min(root.generation for root in material.roots)
    found = (leaf.certificate for _, leaf in leaves if leaf.certificate is not None)
    counts = Counter(generations.get(each.authority_key_id, oldest) for each in found if each.not_after > now)
    return tuple(sorted(counts.items()))
