"""API objects as the caches keep them: parsed once, small, and without a leaf's private key."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from sys import intern
from typing import Any

from anchorline.api import codec, naming, times
from anchorline.api.certificate import Certificate as CertificateResource
from anchorline.errors import AnchorlineError, CorruptMaterial
from anchorline.kube.trust_files import formats_of, trust_files
from anchorline.pki import Certificate, KeySpec, PrivateKey, TrustBundle, decode_certificates
from anchorline.plan.trust import store_digest
from anchorline.plan.upkeep import chain_digest
from anchorline.plan.world import LeafSecret, NamespaceSeen, StoreSeen

_LABEL_FIELD = f"f:{naming.TRUST}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySecret:
    """A Secret of a root, an intermediate, or a retired root; its key is shown to nobody."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    role: str
    authority: str
    generation: int
    number: int
    annotations: Mapping[str, str]
    chain: tuple[Certificate, ...] = ()
    bridge: Certificate | None = None
    key: PrivateKey | None = field(default=None, repr=False)
    problem: str = ""

    @property
    def certificate(self) -> Certificate | None:
        """The certificate of this authority, None when it cannot be read."""
        return self.chain[0] if self.chain else None

    def time(self, annotation: str) -> datetime:
        """A time of an annotation; the epoch when it is missing or unreadable."""
        try:
            return times.parse_time(self.annotations.get(annotation, ""))
        except AnchorlineError:
            return _EPOCH


SecretView = AuthoritySecret | LeafSecret


def secret_view(obj: Mapping[str, Any]) -> SecretView | None:
    """A Secret that carries our label, as its role says; None for a role that no decision needs."""
    role = (obj["metadata"].get("labels") or {}).get(naming.ROLE_LABEL)
    if role == naming.ROLE_LEAF:
        return leaf_secret(obj)
    if role in (naming.ROLE_ROOT, naming.ROLE_INTERMEDIATE, naming.ROLE_RETIRED):
        return authority_secret(obj)
    return None


def data(obj: Mapping[str, Any], key: str) -> bytes:
    """Decoded bytes of one entry of a Secret, empty when it is not there. Raises CorruptMaterial for broken base64."""
    try:
        return base64.b64decode((obj.get("data") or {}).get(key) or "", validate=True)
    except (binascii.Error, ValueError):
        raise CorruptMaterial(f"{key} is not base64") from None


def key_pair(obj: Mapping[str, Any]) -> tuple[tuple[Certificate, ...], PrivateKey]:
    """Certificates of tls.crt and the key of tls.key, which belongs to the first of them.

    Raises CorruptMaterial when either is missing, unreadable, or they do not match.
    """
    chain = decode_certificates(_present(obj, naming.TLS_CERT))
    if not chain:
        raise CorruptMaterial(f"{naming.TLS_CERT} holds no certificate")
    key = PrivateKey.from_pem(_present(obj, naming.TLS_KEY))
    if not chain[0].matches(key):
        raise CorruptMaterial(f"{naming.TLS_KEY} does not belong to the first certificate of {naming.TLS_CERT}")
    return chain, key


def _present(obj: Mapping[str, Any], key: str) -> bytes:
    content = data(obj, key)
    if not content:
        raise CorruptMaterial(f"{key} is missing")
    return content


def authority_secret(obj: Mapping[str, Any]) -> AuthoritySecret:
    """Read an authority's Secret; whatever is wrong with it is said in `problem`."""
    meta = obj["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    role = labels[naming.ROLE_LABEL]
    chain: tuple[Certificate, ...] = ()
    key, bridge, problem = None, None, ""
    try:
        if role == naming.ROLE_RETIRED or naming.SOURCE_ANNOTATION in annotations:
            chain = decode_certificates(_present(obj, naming.TLS_CERT))
        else:
            chain, key = key_pair(obj)
        bridge = next(iter(decode_certificates(data(obj, naming.BRIDGE_CERT))), None)
    except AnchorlineError as error:
        chain, key, bridge, problem = (), None, None, error.message
    return AuthoritySecret(
        name=meta["name"],
        namespace=meta.get("namespace", ""),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        role=role,
        authority=labels.get(naming.AUTHORITY_LABEL, ""),
        generation=_number(labels.get(naming.GENERATION_LABEL)),
        number=_number(labels.get(naming.NUMBER_LABEL)),
        annotations=annotations,
        chain=chain,
        bridge=bridge,
        key=key,
        problem=problem,
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def leaf_secret(obj: Mapping[str, Any]) -> LeafSecret:
    """Read a leaf's Secret; the key is looked at and not kept."""
    try:
        chain, key = key_pair(obj)
        return written_leaf(obj, chain, key.spec, shared_bundle(data(obj, naming.CA_CERT)))
    except AnchorlineError as error:
        return _leaf(obj, (), None, TrustBundle(), error.message)


def written_leaf(
    obj: Mapping[str, Any], chain: tuple[Certificate, ...], spec: KeySpec, trust: TrustBundle
) -> LeafSecret:
    """A leaf's Secret whose content is known, as when we have just written it: nothing is parsed."""
    return _leaf(obj, chain, spec, trust, "")


def _leaf(
    obj: Mapping[str, Any], chain: tuple[Certificate, ...], spec: KeySpec | None, trust: TrustBundle, problem: str
) -> LeafSecret:
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    return LeafSecret(
        resource_version=meta.get("resourceVersion", ""),
        certificate=chain[0].kept() if chain else None,
        chain_digest=chain_digest(chain[0], chain[1:]) if chain else "",
        trust_digest=intern(trust.digest),
        trusted=_fingerprints(trust),
        key_spec=spec,
        request=annotations.get(naming.REQUEST_ANNOTATION, ""),
        revision=_number(annotations.get(naming.REVISION_ANNOTATION)),
        certificate_name=annotations.get(naming.CERTIFICATE_ANNOTATION, ""),
        labels=pairs(meta.get("labels")),
        annotations=pairs(annotations),
        owner_uid=next(
            (each["uid"] for each in meta.get("ownerReferences") or () if each["kind"] == "Certificate"), ""
        ),
        problem=problem,
    )


_bundles: dict[bytes, TrustBundle] = {}
_sets: dict[str, frozenset[str]] = {}
_SHARED_AT_MOST = 1024


def shared_bundle(pem: bytes) -> TrustBundle:
    """A bundle of roots; thousands of Secrets carry the same few, which are parsed and kept once.

    Raises CorruptMaterial for what is not PEM certificates.
    """
    if pem not in _bundles:
        if len(_bundles) >= _SHARED_AT_MOST:
            _bundles.clear()
        _bundles[pem] = TrustBundle(decode_certificates(pem))
    return _bundles[pem]


def _fingerprints(bundle: TrustBundle) -> frozenset[str]:
    if len(_sets) >= _SHARED_AT_MOST:
        _sets.clear()
    return _sets.setdefault(bundle.digest, frozenset(bundle.fingerprints))


def pairs(mapping: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Labels or annotations as a sorted value; keys and short values are shared between objects."""
    return tuple(
        (intern(key), intern(value) if len(value) < 64 else value) for key, value in sorted((mapping or {}).items())
    )


def store_view(obj: Mapping[str, Any]) -> StoreSeen:
    """The content of a trust store; an unreadable one counts as empty, so that it is written anew."""
    content, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    private = content.get(naming.PRIVATE_BUNDLE, "").encode()
    full = content.get(naming.FULL_BUNDLE, "").encode()
    try:
        bundle = shared_bundle(private)
    except CorruptMaterial:
        bundle = TrustBundle()
    formats, rest = formats_of((*content, *binary)), full[len(bundle.pem) :]
    try:
        # Everything is made again from the bundles: an edited file of any format is seen.
        intact = full.startswith(bundle.pem) and trust_files(bundle.pem, rest, formats) == (content, binary)
    except CorruptMaterial:
        intact = False
    public = sha256(rest).hexdigest() if rest else ""
    digest = store_digest(bundle, public, formats) if intact else "changed by somebody"
    return StoreSeen(
        resource_version=obj["metadata"]["resourceVersion"], digest=intern(digest), private=bundle, formats=formats
    )


def written_store(
    resource_version: str, private: TrustBundle, public_digest: str, formats: tuple[str, ...]
) -> StoreSeen:
    """A trust store whose content is known, as when we have just written it: it is not made again to be compared."""
    return StoreSeen(
        resource_version=resource_version,
        digest=intern(store_digest(private, public_digest, formats)),
        private=shared_bundle(private.pem),
        formats=formats,
    )


def namespace_view(obj: Mapping[str, Any]) -> NamespaceSeen:
    """A namespace's own words."""
    meta = obj["metadata"]
    return NamespaceSeen(
        name=meta["name"],
        labels=pairs(meta.get("labels")),
        annotations=pairs(meta.get("annotations")),
        deleting="deletionTimestamp" in meta,
        labelled_since=_labelled_since(meta),
    )


def _labelled_since(meta: Mapping[str, Any]) -> datetime | None:
    """Since when our label has its value: what the API server keeps of each writer of it, in whole seconds."""
    found = (
        entry["time"]
        for entry in meta.get("managedFields") or ()
        if _LABEL_FIELD in ((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels", ())
        and "time" in entry
    )
    return min(map(times.parse_time, found), default=None)


def certificate_view(obj: Mapping[str, Any]) -> CertificateResource:
    """A Certificate."""
    return codec.decode_resource(CertificateResource, obj)
