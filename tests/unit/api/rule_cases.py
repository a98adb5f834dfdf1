"""For each CEL rule of the custom resources, a change of a spec that breaks it and one that just does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anchorline.api.manifests import custom_resource_definitions

Json = dict[str, Any]
CA, CERTIFICATE = "PrivateCA", "Certificate"

MINIMAL: dict[str, Json] = {
    CA: {"subject": {"commonName": "Acme Internal"}},
    CERTIFICATE: {"caRef": {"name": "internal"}, "secretName": "web-tls", "dnsNames": ["web.shop.svc"]},
}
SELECTOR: Json = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
# Something at every path, so that each constraint can be broken alone.
FULL: dict[str, Json] = {
    CA: MINIMAL[CA] | {"policy": {"namespaceSelector": SELECTOR}, "trust": {"namespaceSelector": SELECTOR}},
    CERTIFICATE: MINIMAL[CERTIFICATE],
}


@dataclass(frozen=True)
class Case:
    """One CEL rule: where it stands, what it says, a change that breaks it, one that does not (None takes away)."""

    kind: str
    path: str
    message: str
    bad: Any
    good: Any


def _key_size(path: str) -> Case:
    message = "size must be 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA"
    return Case(CA, path, message, {"size": 521}, {"algorithm": "RSA", "size": 3072})


def _requirement(path: str) -> Case:
    exists = {"key": "a", "operator": "Exists", "values": ["b"]}
    return Case(CA, path, "values go with operator In or NotIn", exists, {"key": "a", "operator": "DoesNotExist"})


def _template(field: str) -> Case:
    message = f"{field} under anchorline.dev/ belong to the operator"
    return Case(
        CERTIFICATE,
        "spec.secretTemplate",
        message,
        {field: {"anchorline.dev/x": "y"}},
        {field: {"anchorline.de/x": "y"}},
    )


def _domain(field: str) -> Case:
    path = f"spec.nameConstraints.{field}[]"
    return Case(CA, path, "write the domain without a leading dot", ".acme.example", "acme.example")


CASES = (
    Case(
        CA,
        "spec",
        "set subject.commonName",
        {"subject": None},
        {"subject": None, "root": {"source": "Secret", "secretName": "r"}},
    ),
    Case(
        CA,
        "spec.root",
        "set secretName together with source: Secret",
        {"secretName": "r"},
        {"source": "Secret", "secretName": "r"},
    ),
    Case(CA, "spec.root", "validity must be at least 1h", {"validity": "59m"}, {"validity": "1h"}),
    Case(
        CA,
        "spec.root",
        "renewBefore must be shorter than validity",
        {"validity": "9h", "renewBefore": "9h"},
        {"renewBefore": "9h"},
    ),
    _key_size("spec.root.key"),
    _key_size("spec.intermediate.key"),
    Case(CA, "spec.intermediate", "validity must be at least 1h", {"validity": "59m"}, {"validity": "60m"}),
    Case(
        CA,
        "spec.intermediate",
        "renewBefore must be shorter than validity",
        {"renewBefore": "8760h"},
        {"renewBefore": "8759h"},
    ),
    _domain("permittedDNSDomains"),
    _domain("excludedDNSDomains"),
    Case(CA, "spec.policy", "maxDuration must be at least 30s", {"maxDuration": "29s"}, {"maxDuration": "30s"}),
    Case(CA, "spec.policy.ipRanges[]", "write an IP range in CIDR form", "10.96.0.1", "fd00::/8"),
    _requirement("spec.policy.namespaceSelector.matchExpressions[]"),
    _requirement("spec.trust.namespaceSelector.matchExpressions[]"),
    Case(CA, "spec.leaf", "duration must be at least 30s", {"duration": "29s"}, {"duration": "30s"}),
    Case(CA, "spec.rotation", "propagation must be at least 1s", {"propagation": "999ms"}, {"propagation": "1s"}),
    Case(
        CERTIFICATE,
        "spec",
        "give at least one of dnsNames",
        {"dnsNames": []},
        {"dnsNames": [], "uris": ["spiffe://a/b"]},
    ),
    Case(
        CERTIFICATE,
        "spec",
        "set renewBefore or renewBeforePercentage, not both",
        {"renewBefore": "1h", "renewBeforePercentage": 9},
        {"renewBeforePercentage": 9},
    ),
    Case(CERTIFICATE, "spec", "duration must be at least 30s", {"duration": "29.9s"}, {"duration": "30s"}),
    Case(CERTIFICATE, "spec", "renewBefore must be at least 1s", {"renewBefore": "0s"}, {"renewBefore": "1s"}),
    Case(
        CERTIFICATE,
        "spec",
        "renewBefore must be shorter than duration",
        {"duration": "1h", "renewBefore": "60m"},
        {"duration": "1h", "renewBefore": "59m"},
    ),
    Case(
        CERTIFICATE,
        "spec.privateKey",
        "size must be 256, 384 or 521 for ECDSA",
        {"algorithm": "Ed25519", "size": 256},
        {"size": 521},
    ),
    Case(
        CERTIFICATE,
        "spec.privateKey",
        "Ed25519 keys have no PKCS1 form",
        {"algorithm": "Ed25519", "encoding": "PKCS1"},
        {"algorithm": "Ed25519"},
    ),
    _template("labels"),
    _template("annotations"),
)
# Rules over the name and over the past, which no spec alone can break.
ELSEWHERE = {
    (CA, "", "metadata.name must have no dots"): "test_the_name_of_a_ca_fits_into_the_names_of_its_secrets",
    (CA, "spec.root.source", "source cannot be changed"): "test_the_source_of_a_root_is_for_ever",
}


def walk(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema inside a schema, with its path: `spec.dnsNames[]` for the items of a list."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


SCHEMAS: dict[str, list[tuple[str, Json]]] = {
    crd["spec"]["names"]["kind"]: list(walk(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
    for crd in custom_resource_definitions()
}
