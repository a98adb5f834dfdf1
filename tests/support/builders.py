"""Kubernetes objects to test with, as users and the operator write them; certificates in them are real."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.support import certificates
from tests.support.certificates import DAY, NOW

from anchorline import pki
from anchorline.api import naming
from anchorline.kube import objects
from anchorline.plan.actions import CreateIntermediate, CreateRoot, SecretShape

Object = dict[str, Any]

OPERATOR_NAMESPACE = "anchorline-system"
DNS_NAMES = ("web.shop.svc", "web.shop.svc.cluster.local")


def an_object(kind: str, name: str, namespace: str = "", *, version: str = naming.API_VERSION, **rest: Any) -> Object:
    """Any object; `labels` and `annotations` go into its metadata."""
    metadata: Object = {"name": name, "namespace": namespace} if namespace else {"name": name}
    for part in ("labels", "annotations"):
        metadata |= {part: dict(found)} if (found := rest.pop(part, None)) else {}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def a_private_ca(name: str = "internal", *, annotations: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """A PrivateCA; `spec` in the words of the manifest."""
    whole = {"subject": {"commonName": "Acme Internal", "organizations": ["Acme"]}, **spec}
    return an_object("PrivateCA", name, annotations=annotations, spec=whole)


def a_brought_ca(name: str = "internal", secret: str = "brought", **spec: Any) -> Object:
    """A PrivateCA whose root, or intermediate with its chain, is in a Secret that a user brought."""
    return an_object("PrivateCA", name, spec={"root": {"source": "Secret", "secretName": secret}, **spec})


def a_certificate(name: str = "web", namespace: str = "shop", *, ca: str = "internal", **spec: Any) -> Object:
    """A Certificate for `web.shop.svc`, with its Secret in `NAME-tls`; `spec` in the words of the manifest."""
    usual = {"caRef": {"name": ca}, "secretName": f"{name}-tls", "dnsNames": list(DNS_NAMES)}
    return an_object("Certificate", name, namespace, spec=usual | spec)


def a_namespace(
    name: str = "shop",
    *,
    trust: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """A namespace; `trust` is the value of the annotation that asks for CAs."""
    asked = {naming.TRUST: trust} if trust is not None else {}
    return an_object("Namespace", name, version="v1", labels=labels, annotations={**(annotations or {}), **asked})


def a_pod(name: str, namespace: str = "shop", *, injected: bool = True, phase: str = "Running") -> Object:
    """A pod, as far as trust stores look at it."""
    labels = {naming.INJECTED_LABEL: "true"} if injected else None
    return an_object("Pod", name, namespace, version="v1", labels=labels, status={"phase": phase})


def a_secret(name: str, namespace: str = OPERATOR_NAMESPACE, **data: bytes) -> Object:
    """Somebody's Secret, not marked as ours; `tls_crt` is written `tls.crt`."""
    entries = {key.replace("_", "."): value for key, value in data.items()}
    return an_object("Secret", name, namespace, version="v1", type="Opaque", data=objects.encoded(**entries))


def a_brought_secret(
    chain: Iterable[pki.Certificate],
    key: pki.PrivateKey,
    *,
    name: str = "brought",
    above: Iterable[pki.Certificate] = (),
) -> Object:
    """A CA that a user brings: `chain` in tls.crt, what is `above` it in ca.crt."""
    return a_secret(
        name, tls_crt=pki.encode_certificates(chain), tls_key=key.to_pem(), ca_crt=pki.encode_certificates(above)
    )


def an_authority(
    name: str = "internal", root: pki.Issuer | None = None, intermediate: pki.Issuer | None = None
) -> tuple[Object, Object]:
    """The Secrets of a root and an intermediate of ours, generation 1, with the fixed keys of `certificates`."""
    root = root or certificates.a_root()
    intermediate = intermediate or certificates.an_intermediate(root)
    return a_root_secret(name, root), an_intermediate_secret(name, intermediate)


def a_root_secret(name: str, root: pki.Issuer, generation: int = 1, **rest: Any) -> Object:
    """The Secret of a root of ours."""
    have = root.certificate
    todo = CreateRoot(
        authority=name,
        generation=generation,
        secret=naming.root_secret(name, generation),
        profile=pki.RootProfile(subject=have.subject, not_before=have.not_before, not_after=have.not_after),
        key=have.key_spec,
        **{"phase": "Active", "since": NOW - DAY, "cause": "test", "deletion_policy": "Retain", **rest},
    )
    return objects.root(OPERATOR_NAMESPACE, todo, have, root.key, None)


def an_intermediate_secret(name: str, made: pki.Issuer, generation: int = 1, number: int = 1, **rest: Any) -> Object:
    """The Secret of an intermediate of ours."""
    have = made.certificate
    todo = CreateIntermediate(
        authority=name,
        generation=generation,
        number=number,
        secret=naming.intermediate_secret(name, generation, number),
        profile=pki.IntermediateProfile(subject=have.subject, not_before=have.not_before, not_after=have.not_after),
        key=have.key_spec,
        root_secret=naming.root_secret(name, generation),
        **{"issued_until": NOW + 45 * DAY, "deletion_policy": "Retain", "why": "test", **rest},
    )
    return objects.intermediate(OPERATOR_NAMESPACE, todo, have, made.key)


def a_leaf_secret(
    leaf: pki.Certificate,
    key: pki.PrivateKey,
    *tail: pki.Certificate,
    roots: pki.TrustBundle | None = None,
    name: str = "web-tls",
    namespace: str = "shop",
) -> Object:
    """A leaf's Secret that is marked as ours and knows nothing of any request."""
    labels = {naming.MANAGED_LABEL: naming.MANAGED, naming.ROLE_LABEL: naming.ROLE_LEAF}
    shape = SecretShape(
        labels=tuple(labels.items()), annotations=(), owner=None, tail=tail, trust=roots or pki.TrustBundle()
    )
    return as_json(objects.leaf(namespace, name, shape, leaf, key.to_pem()))


def as_json(secret: Object) -> Object:
    """A Secret that is written as protobuf, as the API server gives it back: its data in base64."""
    return {**secret, "data": objects.encoded(**secret["data"])}


def edited(obj: Object, *path: str, to: Any) -> Object:
    """The object with one thing changed: `edited(ca, "spec", "deletionPolicy", to="Delete")`."""
    first, *rest = path
    return {**obj, first: edited(obj.get(first) or {}, *rest, to=to) if rest else to}
