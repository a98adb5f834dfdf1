"""The public roots in every full trust store besides the private ones (P8): certifi's, pinned with the image."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import certifi

from anchorline.pki import decode_certificates, encode_certificates


@dataclass(frozen=True, slots=True)
class PublicRoots:
    """Canonical PEM, its SHA-256 (hex), and where it is from: `certifi 2026.10.18, 117 roots`."""

    pem: bytes
    digest: str
    version: str


@cache
def public_roots() -> PublicRoots:
    """Read certifi's roots: only the certificates, in certifi's order, each once."""
    roots = tuple(dict.fromkeys(decode_certificates(Path(certifi.where()).read_bytes())))
    pem = encode_certificates(roots)
    return PublicRoots(pem, sha256(pem).hexdigest(), f"certifi {certifi.__version__}, {len(roots)} roots")
