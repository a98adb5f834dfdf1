"""Where keys and serial numbers come from: the only dice in the house."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from anchorline.pki import KeyAlgorithm, KeySpec, PrivateKey, serial_from

_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
# RSA keys take tens of milliseconds to minutes of a core: off the loop, and never more at once than this.
_RSA = ThreadPoolExecutor(max_workers=2, thread_name_prefix="rsa")


def new_serial() -> int:
    """159 random bits, positive (RFC 5280 4.1.2.2)."""
    return serial_from(os.urandom(20))


async def new_key(spec: KeySpec) -> PrivateKey:
    """A fresh private key."""
    if spec.algorithm is KeyAlgorithm.RSA:
        loop = asyncio.get_running_loop()
        return PrivateKey.wrap(await loop.run_in_executor(_RSA, rsa.generate_private_key, 65537, spec.size))
    if spec.algorithm is KeyAlgorithm.ED25519:
        return PrivateKey.wrap(ed25519.Ed25519PrivateKey.generate())
    return PrivateKey.wrap(ec.generate_private_key(_CURVES[spec.size]))
