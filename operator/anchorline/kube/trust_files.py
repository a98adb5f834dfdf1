"""The files of a trust store: the PEM bundles, and the formats that a namespace asks for besides them."""

import base64
import warnings
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.utils import CryptographyDeprecationWarning

from anchorline.api import naming
from anchorline.pki import Certificate, decode_certificates, java_keystore

WGETRC: Final = f"ca_certificate = {naming.TRUST_MOUNT}/{naming.FULL_BUNDLE}\n"
_NAMES: Final = {naming.JKS: naming.JAVA_TRUSTSTORE, naming.WGETRC: naming.WGETRC_FILE}


class Files(NamedTuple):
    """What a ConfigMap holds: `data`, and `binaryData` in base64."""

    data: dict[str, str]
    binary: dict[str, str]


def trust_files(private: bytes, public: bytes, formats: Collection[str]) -> Files:
    """Make the files from canonical PEM of private and of public roots; never an empty one.

    Raises CorruptMaterial for what is not PEM certificates, when a format needs to read them.
    """
    bundles = {naming.FULL_BUNDLE: private + public, naming.PRIVATE_BUNDLE: private}
    data = {name: pem.decode() for name, pem in bundles.items() if pem}
    if naming.WGETRC in formats:
        data[naming.WGETRC_FILE] = WGETRC
    binary = {}
    if naming.JKS in formats:
        store = java_keystore((*_certificates(private), *_certificates(public)))
        binary[naming.JAVA_TRUSTSTORE] = base64.b64encode(store).decode()
    return Files(data, binary)


def formats_of(names: Iterable[str]) -> tuple[str, ...]:
    """Formats whose files are among these."""
    there = set(names)
    return tuple(each for each in naming.TRUST_FORMATS if _NAMES[each] in there)


@lru_cache(maxsize=64)
def _certificates(pem: bytes) -> tuple[Certificate, ...]:
    """Read certificates; the public roots are the same for all namespaces, the private ones for most."""
    with warnings.catch_warnings():
        # One of the public roots has serial number 0: see public_roots.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return decode_certificates(pem)
