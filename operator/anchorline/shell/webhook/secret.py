"""PURE: the webhook's material as a Secret and back, and caBundle as certificates and back."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from anchorline import pki
from anchorline.api import naming
from anchorline.errors import AnchorlineError, CorruptMaterial
from anchorline.shell.webhook.rotation import Material, Pair

WEBHOOK_NAME: Final = naming.webhook_name(())
_CA_KEY: Final = "ca.key"
_NEXT_CERT: Final = "next-ca.crt"
_NEXT_KEY: Final = "next-ca.key"
_PREVIOUS: Final = "previous-ca.crt"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"

Object = dict[str, Any]


def is_ours(secret: Mapping[str, Any]) -> bool:
    """Does the Secret carry our label and role? A foreign one of that name is never written (P10)."""
    labels = secret["metadata"].get("labels") or {}
    ours = labels.get(naming.MANAGED_LABEL) == naming.MANAGED
    return ours and labels.get(naming.ROLE_LABEL) == naming.ROLE_WEBHOOK


def encoded(material: Material, namespace: str, resource_version: str = "") -> Object:
    """Write the Secret; with a resourceVersion it replaces exactly that version."""
    data = {
        naming.CA_CERT: material.current.certificate.pem,
        _CA_KEY: material.current.key.to_pem(),
        naming.TLS_CERT: material.serving.certificate.pem,
        naming.TLS_KEY: material.serving.key.to_pem(),
    }
    if material.upcoming:
        data |= {_NEXT_CERT: material.upcoming.certificate.pem, _NEXT_KEY: material.upcoming.key.to_pem()}
    if material.previous:
        data[_PREVIOUS] = pki.encode_certificates(material.previous)
    metadata: Object = {
        "name": naming.WEBHOOK_SECRET,
        "namespace": namespace,
        "labels": {naming.MANAGED_LABEL: naming.MANAGED, naming.ROLE_LABEL: naming.ROLE_WEBHOOK},
    }
    if material.issued_until:
        metadata["annotations"] = {naming.ISSUED_UNTIL_ANNOTATION: material.issued_until.strftime(_TIME)}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    base64_data = {key: base64.b64encode(value).decode("ascii") for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": base64_data}


def decoded(secret: Mapping[str, Any]) -> Material | None:
    """Read the Secret; None when any part is missing, unreadable or does not fit the others: it is made anew then."""
    data = secret.get("data") or {}
    try:
        current = _pair(data, naming.CA_CERT, _CA_KEY)
        serving = _pair(data, naming.TLS_CERT, naming.TLS_KEY)
        pki.Issuer(current.certificate, current.key)
        if not serving.certificate.is_issued_by(current.certificate):
            return None
        previous = pki.decode_certificates(_bytes(data, _PREVIOUS)) if _PREVIOUS in data else ()
        upcoming = _pair(data, _NEXT_CERT, _NEXT_KEY) if _NEXT_CERT in data else None
    except (AnchorlineError, KeyError, ValueError):
        return None
    until = _time((secret["metadata"].get("annotations") or {}).get(naming.ISSUED_UNTIL_ANNOTATION))
    return Material(current=current, serving=serving, upcoming=upcoming, previous=previous, issued_until=until)


def bundles(configuration: Mapping[str, Any] | None) -> dict[str, tuple[pki.Certificate, ...]]:
    """Read caBundle of each of our webhooks, by name; unreadable is as good as empty."""
    webhooks = (configuration or {}).get("webhooks") or []
    ours = (each for each in webhooks if str(each.get("name")).endswith(f".{naming.GROUP}"))
    return {each["name"]: _bundle(each.get("clientConfig") or {}) for each in ours}


def published(configuration: Mapping[str, Any] | None) -> tuple[pki.Certificate, ...] | None:
    """What caBundle holds in all of our webhooks. None: there is no configuration with any."""
    held = tuple(bundles(configuration).values())
    if not held:
        return None
    return tuple(each for each in held[0] if all(each in other for other in held))


def uneven(configuration: Mapping[str, Any] | None) -> bool:
    """Whether our webhooks hold different certificates, as when an upgrade of the chart has brought a new one."""
    return len({frozenset(held) for held in bundles(configuration).values()}) > 1


def bundle_patch(material: Material, configuration: Mapping[str, Any]) -> Object:
    """Write an apply configuration that owns each caBundle and nothing else, of exactly the version that was read.

    The version matters: a replica that slept since it read would otherwise put an older caBundle back. Only webhooks
    that are there are named: applying one that is not would make one without rules.
    """
    bundle = base64.b64encode(pki.encode_certificates(material.published)).decode("ascii")
    version = configuration["metadata"]["resourceVersion"]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": naming.WEBHOOK_CONFIGURATION, "resourceVersion": version},
        "webhooks": [{"name": name, "clientConfig": {"caBundle": bundle}} for name in bundles(configuration)],
    }


def _bundle(client: Mapping[str, Any]) -> tuple[pki.Certificate, ...]:
    try:
        bundle = base64.b64decode(client.get("caBundle") or "", validate=True)
        return pki.decode_certificates(bundle) if bundle.strip() else ()
    except (binascii.Error, AnchorlineError):
        return ()


def _pair(data: Mapping[str, str], certificate: str, key: str) -> Pair:
    found = pki.decode_certificates(_bytes(data, certificate))
    pair = Pair(certificate=found[0], key=pki.PrivateKey.from_pem(_bytes(data, key))) if found else None
    if pair is None or not pair.certificate.matches(pair.key):
        raise CorruptMaterial(f"{certificate} and {key} of the webhook's Secret do not belong together")
    return pair


def _bytes(data: Mapping[str, str], key: str) -> bytes:
    return base64.b64decode(data[key], validate=True)


def _time(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
