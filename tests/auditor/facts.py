"""What a Secret or ConfigMap says to a TLS peer: chains and trust stores, and whether somebody else wrote into them."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.auditor.access import Object

WRITER = "anchorline"
DOMAIN = "anchorline.dev"
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "sslserver", ExtendedKeyUsageOID.CLIENT_AUTH: "sslclient"}


@dataclass(frozen=True)
class Chain:
    """What a server sends: the leaf, and what it sends after it; `bare` is that without the bridge to an older root."""

    authority: str
    leaf: bytes
    tail: bytes
    bare: bytes
    purposes: tuple[str, ...]
    not_after: datetime
    tail_ends: datetime
    digest: str


@dataclass(frozen=True)
class Store:
    """Private roots that a client trusts."""

    roots: bytes
    fingerprints: frozenset[str]
    ends: tuple[datetime, ...]
    digest: str


def entries(obj: Object) -> dict[str, bytes]:
    """The decoded entries of a Secret or ConfigMap."""
    data: dict[str, str] = obj.get("data") or {}
    if obj.get("kind") == "ConfigMap":
        return {key: value.encode() for key, value in data.items()}
    return {key: base64.b64decode(value) for key, value in data.items()}


def label(obj: Object, name: str) -> str:
    """One of our labels."""
    return str((obj["metadata"].get("labels") or {}).get(f"{DOMAIN}/{name}", ""))


def tampered(obj: Object, *keys: str) -> bool:
    """Whether these entries are not all as the operator wrote them: somebody else owns one, or took it away."""
    owners: dict[str, set[str]] = {key: set() for key in keys}
    for each in obj["metadata"].get("managedFields") or []:
        for key in set(keys) & {name.removeprefix("f:") for name in each.get("fieldsV1", {}).get("f:data", {})}:
            owners[key].add(each["manager"])
    return any(found != {WRITER} for found in owners.values())


def chain(obj: Object) -> Chain:
    """The chain in a leaf's Secret. Raises ValueError for one that cannot be read."""
    parts = PEM.findall(entries(obj).get("tls.crt", b""))
    if not parts:
        raise ValueError("tls.crt holds no certificate")
    leaf, *tail = [x509.load_pem_x509_certificate(part) for part in parts]
    trusted = {_key(x509.load_pem_x509_certificate(part)) for part in PEM.findall(entries(obj)["ca.crt"])}
    return Chain(
        authority=label(obj, "authority"),
        leaf=parts[0],
        tail=b"\n".join(parts[1:]),
        bare=b"\n".join(pem for pem, each in zip(parts[1:], tail, strict=True) if _key(each) not in trusted),
        purposes=_purposes(leaf),
        not_after=leaf.not_valid_after_utc,
        tail_ends=min((each.not_valid_after_utc for each in tail), default=leaf.not_valid_after_utc),
        digest=sha256(b"\n".join(parts)).hexdigest()[:16],
    )


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _purposes(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(PURPOSES[each] for each in usage if each in PURPOSES)


def store(pem: bytes) -> Store:
    """The roots in a bundle."""
    parts = PEM.findall(pem)
    roots = [x509.load_pem_x509_certificate(part) for part in parts]
    prints = frozenset(root.fingerprint(hashes.SHA256()).hex() for root in roots)
    joined = b"\n".join(parts)
    ends = tuple(root.not_valid_after_utc for root in roots)
    return Store(roots=joined, fingerprints=prints, ends=ends, digest=sha256(joined).hexdigest()[:16])
