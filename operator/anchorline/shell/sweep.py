"""The look at everything: what was deleted or changed while nobody watched is found by comparing, not by events."""

from collections.abc import Callable

from anchorline.api.codec import decode_resource
from anchorline.api.meta import ObjectKey
from anchorline.api.privateca import PrivateCA
from anchorline.kube.resources import PRIVATE_CAS
from anchorline.kube.views import AuthoritySecret
from anchorline.kube.world import World


async def sweep(world: World, add: Callable[[ObjectKey], None]) -> None:
    """Read all PrivateCAs, and have every object looked at: CAs first, since the rest depends on them."""
    listing = await world.client.list(PRIVATE_CAS)
    world.cas = {ca.metadata.name: ca for ca in (decode_resource(PrivateCA, each) for each in listing.items)}
    for ca in world.cas.values():
        if ca.spec.root.secret_name:
            await world.read_brought(ca)
    secrets = world.secrets.in_namespace(world.surroundings.namespace)
    orphans = {each.authority for each in secrets if isinstance(each, AuthoritySecret)} - set(world.cas)
    for name in (*world.cas, *orphans):
        add(ObjectKey("PrivateCA", "", name))
    for namespace in world.namespaces.values():
        add(ObjectKey("Namespace", "", namespace.name))
    for certificate in world.certificates.values():
        add(ObjectKey("Certificate", certificate.metadata.namespace, certificate.metadata.name))
