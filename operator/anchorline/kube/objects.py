"""The Secrets and ConfigMaps that we write, as Kubernetes objects."""

import base64
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from anchorline.api import naming
from anchorline.kube.public_roots import PublicRoots
from anchorline.kube.trust_files import Files, trust_files
from anchorline.pki import Certificate, KeyEncoding, PrivateKey, TrustBundle, encode_certificates
from anchorline.plan.actions import CreateIntermediate, CreateRoot, RecordRetired, RecordRoot, SecretShape

Object = dict[str, Any]
REPORTING_CONTROLLER = f"{naming.GROUP}/operator"


def stamp(time: datetime) -> str:
    """A time as annotations carry it (RFC 3339, UTC, seconds)."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def encoded(**entries: bytes) -> dict[str, str]:
    """Secret data: base64, without what is empty."""
    return {key: base64.b64encode(value).decode() for key, value in entries.items() if value}


def _authority(
    namespace: str,
    secret: str,
    role: str,
    authority: str,
    generation: int,
    annotations: Mapping[str, str],
    *,
    kind: str,
) -> Object:
    labels = {
        naming.MANAGED_LABEL: naming.MANAGED,
        naming.ROLE_LABEL: role,
        naming.AUTHORITY_LABEL: authority,
        naming.GENERATION_LABEL: str(generation),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret, "namespace": namespace, "labels": labels, "annotations": dict(annotations)},
        "type": kind,
        "immutable": True,
    }


def root(
    namespace: str, todo: CreateRoot, certificate: Certificate, key: PrivateKey, bridge: Certificate | None
) -> Object:
    """A root that was made here."""
    annotations = {
        naming.PHASE_ANNOTATION: str(todo.phase),
        naming.SINCE_ANNOTATION: stamp(todo.since),
        naming.CAUSE_ANNOTATION: todo.cause,
        naming.KEEP_ANNOTATION: todo.deletion_policy,
    }
    obj = _authority(
        namespace, todo.secret, naming.ROLE_ROOT, todo.authority, todo.generation, annotations, kind="kubernetes.io/tls"
    )
    obj["data"] = encoded(
        **{
            naming.TLS_CERT: certificate.pem,
            naming.TLS_KEY: key.to_pem(KeyEncoding.PKCS8),
            naming.BRIDGE_CERT: bridge.pem if bridge else b"",
        }
    )
    return obj


def recorded_root(namespace: str, todo: RecordRoot) -> Object:
    """A root that a user brought: its certificate alone."""
    annotations = {
        naming.PHASE_ANNOTATION: str(todo.phase),
        naming.SINCE_ANNOTATION: stamp(todo.since),
        naming.CAUSE_ANNOTATION: todo.cause,
        naming.SOURCE_ANNOTATION: todo.source,
        naming.KEEP_ANNOTATION: todo.deletion_policy,
    }
    obj = _authority(
        namespace, todo.secret, naming.ROLE_ROOT, todo.authority, todo.generation, annotations, kind="Opaque"
    )
    obj["data"] = encoded(**{naming.TLS_CERT: todo.certificate.pem})
    return obj


def retired_root(namespace: str, todo: RecordRetired) -> Object:
    """The certificate of a root that is trusted no more."""
    annotations = {
        naming.SINCE_ANNOTATION: stamp(todo.since),
        naming.CAUSE_ANNOTATION: todo.cause,
        naming.KEEP_ANNOTATION: todo.deletion_policy,
    }
    obj = _authority(
        namespace, todo.secret, naming.ROLE_RETIRED, todo.authority, todo.generation, annotations, kind="Opaque"
    )
    obj["data"] = encoded(**{naming.TLS_CERT: todo.certificate.pem})
    return obj


def intermediate(namespace: str, todo: CreateIntermediate, certificate: Certificate, key: PrivateKey) -> Object:
    """An intermediate."""
    annotations = {
        naming.ISSUED_UNTIL_ANNOTATION: stamp(todo.issued_until),
        naming.KEEP_ANNOTATION: todo.deletion_policy,
    }
    obj = _authority(
        namespace,
        todo.secret,
        naming.ROLE_INTERMEDIATE,
        todo.authority,
        todo.generation,
        annotations,
        kind="kubernetes.io/tls",
    )
    obj["metadata"]["labels"][naming.NUMBER_LABEL] = str(todo.number)
    obj["data"] = encoded(**{naming.TLS_CERT: certificate.pem, naming.TLS_KEY: key.to_pem(KeyEncoding.PKCS8)})
    return obj


def leaf(namespace: str, name: str, shape: SecretShape, certificate: Certificate, key_pem: bytes) -> Object:
    """A leaf with its key, chain and trust: everything in one object, so that they always match.

    Its data are bytes as they are, not base64: it is written as protobuf.
    """
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "labels": dict(shape.labels),
        "annotations": dict(shape.annotations),
    }
    if shape.owner is not None:
        owner, uid = shape.owner
        reference = {"apiVersion": naming.API_VERSION, "kind": "Certificate", "name": owner, "uid": uid}
        metadata["ownerReferences"] = [{**reference, "controller": True, "blockOwnerDeletion": False}]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "kubernetes.io/tls",
        "data": {
            naming.TLS_CERT: certificate.pem + _served_above(shape.tail),
            naming.TLS_KEY: key_pem,
            naming.CA_CERT: shape.trust.pem,
        },
    }


@lru_cache(maxsize=64)
def _served_above(tail: tuple[Certificate, ...]) -> bytes:
    """What is served above a leaf: the same for all of an issuer."""
    return encode_certificates(tail)


def trust_store(
    namespace: str, private: TrustBundle, public: PublicRoots | None, formats: tuple[str, ...] = ()
) -> Object:
    """The trust store of a namespace: all roots in one file, the private ones in another, and further formats."""
    files = _files(private, public, formats)
    labels = {naming.MANAGED_LABEL: naming.MANAGED, naming.ROLE_LABEL: naming.ROLE_TRUST_STORE}
    obj: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": naming.TRUST_STORE, "namespace": namespace, "labels": labels},
        "data": files.data,
    }
    return obj | ({"binaryData": files.binary} if files.binary else {})


@lru_cache(maxsize=8)
def _files(private: TrustBundle, public: PublicRoots | None, formats: tuple[str, ...]) -> Files:
    """The same few are written to thousands of namespaces. They are shared: read, never changed."""
    return trust_files(private.pem, public.pem if public else b"", formats)


def event(
    regarding: Object,
    note: str,
    reason: str,
    action: str,
    *,
    warning: bool,
    name: str,
    namespace: str,
    time: str,
    instance: str,
) -> Object:
    """A Kubernetes event (events.k8s.io/v1)."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": time,
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance,
        "action": action,
        "reason": reason,
        "regarding": regarding,
        # The API server refuses longer notes.
        "note": note[:1024],
        "type": "Warning" if warning else "Normal",
    }
