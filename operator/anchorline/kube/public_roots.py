"""The public roots in every full trust store besides the private ones (P8): certifi's, pinned with the image."""

import warnings
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from anchorline.pki import Certificate, encode_certificates


@dataclass(frozen=True, slots=True)
class PublicRoots:
    """Canonical PEM, its SHA-256 (hex), and where it is from: `certifi 2026.10.18, 117 roots`."""

    pem: bytes
    digest: str
    version: str


@cache
def public_roots() -> PublicRoots:
    """Read certifi's roots: only the certificates, in certifi's order, each once."""
    with warnings.catch_warnings():
        # One of them has serial number 0; it is public, trusted everywhere, and not ours to judge.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        parsed = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    roots = tuple(dict.fromkeys(map(Certificate.wrap, parsed)))
    pem = encode_certificates(roots)
    return PublicRoots(pem, sha256(pem).hexdigest(), f"certifi {certifi.__version__}, {len(roots)} roots")
