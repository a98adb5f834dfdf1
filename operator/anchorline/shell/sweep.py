"""The look at everything: what was deleted or changed while nobody watched is found by comparing, not by events."""

from collections.abc import Callable
from typing import Any

from anchorline.api.codec import decode_resource
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.errors import InvalidSpec
from anchorline.kube.resources import PRIVATE_CAS
from anchorline.kube.views import AuthoritySecret
from anchorline.kube.world import World


async def sweep(world: World, add: Callable[[ObjectKey], None]) -> None:
    """Read all PrivateCAs, and have every object looked at: CAs first, since the rest depends on them."""
    listing = await world.client.list(PRIVATE_CAS)
    world.cas = {ca.metadata.name: ca for ca in map(_decoded, listing.items) if ca is not None}
    for ca in world.cas.values():
        if ca.spec.root.secret_name:
            await world.read_brought(ca)
    secrets = world.secrets.in_namespace(world.surroundings.namespace)
    orphans = {each.authority for each in secrets if isinstance(each, AuthoritySecret)} - set(world.cas)
    # One that cannot be read is looked at as well: that look says so.
    names = (each["metadata"]["name"] for each in listing.items)
    for name in dict.fromkeys((*names, *orphans)):
        add(ObjectKey("PrivateCA", "", name))
    for namespace in world.namespaces.values():
        add(ObjectKey("Namespace", "", namespace.name))
    for certificate in world.certificates.values():
        add(ObjectKey("Certificate", certificate.metadata.namespace, certificate.metadata.name))


def _decoded(obj: dict[str, Any]) -> PrivateCA | None:
    """Read one PrivateCA; one that another version wrote, and this one cannot read, keeps no others waiting (P11)."""
    try:
        return decode_resource(PrivateCA, obj)
    except InvalidSpec:
        return None
