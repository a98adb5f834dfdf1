"""A Certificate on a real API server: what is issued, what it costs, and what makes it be issued again."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.contract.conftest import Scene, entry, leaf, reissued, serial, verified
from tests.support.operator import Object, Operator, awaited

from anchorline.kube.client import ApiError, Client
from anchorline.kube.connection import from_kubeconfig
from anchorline.kube.resources import CERTIFICATES

pytestmark = pytest.mark.contract

POLICY: Object = {
    "dnsNames": ["*.{namespace}.acme.example"],
    "ipRanges": ["10.96.0.0/16"],
    "uris": ["spiffe://acme.example/ns/{namespace}/**"],
    "emailAddresses": ["*@acme.example"],
    "commonNames": ["*"],
}


@pytest.mark.usefixtures("counted")
def test_a_new_certificate_costs_two_writes_and_no_event(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    operator.idle()
    mark = scene.site.audit.mark()
    scene.issued(ca)
    operator.idle()
    written = [(e.verb, e.resource, e.subresource, e.name) for e in scene.site.writes(mark)]
    assert written == [("create", "secrets", "", "web-tls"), ("update", "certificates", "status", "web")]
    assert scene.events("web") == []


def test_a_status_that_is_put_touches_nothing_else(scene: Scene) -> None:
    """The operator sends no spec with it: spec, metadata and who owns which of their fields stay as they were."""
    ca = scene.ca()
    scene.issued(ca, duration="48h")
    entries = scene.resource("Certificate", "web")["metadata"]["managedFields"]
    owned = {each.get("subresource", ""): each for each in entries}
    assert owned["status"]["manager"] == "anchorline"
    assert owned["status"]["fieldsV1"].keys() == {"f:status"}
    assert owned[""]["manager"] != "anchorline"
    assert "f:duration" in owned[""]["fieldsV1"]["f:spec"]
    scene.certificate(ca)
    scene.ready("Certificate", "web")
    assert scene.resource("Certificate", "web")["spec"].get("duration") != "48h", "who owned the field could drop it"


def test_a_status_of_an_older_version_is_refused(scene: Scene) -> None:
    ca = scene.ca()
    scene.issued(ca)
    seen = scene.resource("Certificate", "web")
    scene.certificate(ca, duration="48h")

    async def late() -> None:
        async with Client(from_kubeconfig(scene.site.plane.kubeconfig)) as client:
            await client.replace(CERTIFICATES, {**seen, "status": {"revision": 99}}, subresource="status")

    with pytest.raises(ApiError) as refused:
        asyncio.run(late())
    assert refused.value.conflict
    assert scene.ready("Certificate", "web")["status"]["revision"] != 99


def test_each_decision_is_one_line_of_json_with_its_plan(scene: Scene, operator: Operator) -> None:
    scene.issued(scene.ca())
    operator.idle()
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    key = f"Certificate {scene.name}/web"
    plans = [line["plan"] for line in lines if line["message"] == "planned" and line["key"] == key]
    assert [plan.split(":")[0] for plan in plans] == [f"create Secret {scene.name}/web-tls", f"set status of {key}"]


def test_the_chain_is_verified_by_openssl_strict(scene: Scene, tmp_path: Path) -> None:
    secret = scene.issued(scene.ca())
    assert verified(secret, tmp_path).endswith(": OK\n")
    assert secret["type"] == "kubernetes.io/tls"
    chain = x509.load_pem_x509_certificates(entry(secret, "tls.crt"))
    assert len(chain) == 2
    assert all(each.issuer != each.subject for each in chain), "the self-signed root is never served"


def test_key_and_certificate_match_and_status_tells_of_them(scene: Scene) -> None:
    secret = scene.issued(scene.ca())
    certificate, status = leaf(secret), scene.resource("Certificate", "web")["status"]
    key = load_pem_private_key(entry(secret, "tls.key"), None)
    assert key.public_key() == certificate.public_key()
    assert int(status["serialNumber"].replace(":", ""), 16) == certificate.serial_number
    assert status["notAfter"] == f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert status["revision"] == 1
    assert status["authority"] == 1
    assert status["notBefore"] < status["renewalTime"] < status["notAfter"]
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=30) <= life <= timedelta(days=30, minutes=6)


def test_names_of_all_four_kinds(scene: Scene) -> None:
    wanted: Object = {
        "dnsNames": [f"web.{scene.name}.svc", f"*.{scene.name}.acme.example"],
        "ipAddresses": ["10.96.0.7"],
        "uris": [f"spiffe://acme.example/ns/{scene.name}/sa/web"],
        "emailAddresses": ["web@acme.example"],
    }
    secret = scene.issued(scene.ca(policy=POLICY), **wanted)
    names = leaf(secret).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == set(wanted["dnsNames"])
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == wanted["ipAddresses"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == wanted["uris"]
    assert names.get_values_for_type(x509.RFC822Name) == wanted["emailAddresses"]


def test_a_full_subject(scene: Scene) -> None:
    subject = {
        "organizations": ["Acme"],
        "organizationalUnits": ["Shop"],
        "countries": ["DE"],
        "localities": ["Berlin"],
        "provinces": ["BE"],
        "streetAddresses": ["Hauptstr. 1"],
        "postalCodes": ["10115"],
        "serialNumber": "42",
    }
    secret = scene.issued(scene.ca(policy=POLICY), commonName="Shop", subject=subject)
    seen = {each.oid: each.value for each in leaf(secret).subject}
    assert seen == {
        NameOID.COMMON_NAME: "Shop",
        NameOID.ORGANIZATION_NAME: "Acme",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Shop",
        NameOID.COUNTRY_NAME: "DE",
        NameOID.LOCALITY_NAME: "Berlin",
        NameOID.STATE_OR_PROVINCE_NAME: "BE",
        NameOID.STREET_ADDRESS: "Hauptstr. 1",
        NameOID.POSTAL_CODE: "10115",
        NameOID.SERIAL_NUMBER: "42",
    }


def test_usages(scene: Scene) -> None:
    secret = scene.issued(scene.ca(), usages=["digital signature", "client auth"])
    extensions = leaf(secret).extensions
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_encipherment


@pytest.mark.parametrize(
    ("wanted", "kind", "size", "header"),
    [
        ({"algorithm": "ECDSA", "size": 384}, ec.EllipticCurvePrivateKey, 384, b"BEGIN PRIVATE KEY"),
        ({"algorithm": "ECDSA", "encoding": "PKCS1"}, ec.EllipticCurvePrivateKey, 256, b"BEGIN EC PRIVATE KEY"),
        ({"algorithm": "RSA"}, rsa.RSAPrivateKey, 2048, b"BEGIN PRIVATE KEY"),
        ({"algorithm": "RSA", "size": 3072, "encoding": "PKCS1"}, rsa.RSAPrivateKey, 3072, b"BEGIN RSA PRIVATE KEY"),
        ({"algorithm": "Ed25519"}, ed25519.Ed25519PrivateKey, None, b"BEGIN PRIVATE KEY"),
    ],
    ids=["P-384", "P-256-PKCS1", "RSA-2048", "RSA-3072-PKCS1", "Ed25519"],
)
def test_keys(scene: Scene, tmp_path: Path, wanted: Object, kind: type[Any], size: int | None, header: bytes) -> None:
    secret = scene.issued(scene.ca(), privateKey=wanted)
    key = load_pem_private_key(entry(secret, "tls.key"), None)
    assert isinstance(key, kind)
    assert size is None or getattr(key, "key_size", None) == size
    assert header in entry(secret, "tls.key")
    assert verified(secret, tmp_path).endswith(": OK\n")


def test_the_secret_template_is_followed(scene: Scene) -> None:
    ca = scene.ca()

    def metadata(**template: dict[str, str]) -> Callable[[], Object | None]:
        scene.certificate(ca, secretTemplate=template)

        def look() -> Object | None:
            found = scene.secret()["metadata"]
            labels = {key: value for key, value in found["labels"].items() if "anchorline.dev/" not in key}
            notes = {key: value for key, value in found["annotations"].items() if "anchorline.dev/" not in key}
            right = labels == template.get("labels", {}) and notes == template.get("annotations", {})
            return found if right else None

        return look

    first = scene.issued(ca)
    awaited(metadata(labels={"team": "a"}, annotations={"note": "b"}), "added")
    awaited(metadata(labels={"team": "c"}, annotations={"note": "b"}), "changed")
    awaited(metadata(labels={"team": "c"}), "an annotation removed")
    awaited(metadata(), "all removed")
    assert serial(scene.secret()) == serial(first), "metadata is no reason for a new certificate"


def test_the_secret_goes_with_its_certificate(scene: Scene) -> None:
    scene.issued(scene.ca())
    scene.api.delete("Certificate", "web", scene.name)
    gone = "the garbage collector, which looks for new kinds every 30 s, took the Secret"
    awaited(lambda: scene.api.get("Secret", "web-tls", scene.name) is None, gone, seconds=120.0)


def test_a_retained_secret_stays_and_is_taken_up_again(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    secret = scene.issued(ca, deletionPolicy="Retain")
    assert "ownerReferences" not in secret["metadata"]
    scene.api.delete("Certificate", "web", scene.name)
    operator.idle()
    assert serial(scene.secret()) == serial(secret)
    again = scene.issued(ca, deletionPolicy="Retain")
    assert again["metadata"]["resourceVersion"] == secret["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    "change",
    [
        {"dnsNames": ["other.{namespace}.svc"]},
        {"usages": ["digital signature", "server auth"]},
        {"duration": "240h"},
        {"privateKey": {"size": 384}},
        {"commonName": "web.{namespace}.svc"},
    ],
    ids=["names", "usages", "duration", "key", "common name"],
)
def test_another_wish_is_another_certificate(scene: Scene, operator: Operator, change: Object) -> None:
    ca = scene.ca()
    before = scene.issued(ca)
    asked: Object = {
        key: [each.format(namespace=scene.name) for each in value] if isinstance(value, list) else value
        for key, value in change.items()
    }
    if "commonName" in asked:
        asked["commonName"] = f"web.{scene.name}.svc"
    scene.certificate(ca, **asked)
    after = reissued(scene, before)
    scene.ready("Certificate", "web")
    assert scene.resource("Certificate", "web")["status"]["revision"] == 2
    assert "RequestChanged: the Certificate's spec" in operator.log
    assert entry(after, "tls.key") != entry(before, "tls.key")


def test_refused_by_another_ca_it_goes_on_with_what_its_old_one_issued(scene: Scene) -> None:
    old, new = scene.ca(), scene.ca()
    before = scene.issued(old)
    scene.certificate(new, dnsNames=["acme.example"])
    scene.refused("Certificate", "web", "NameNotAllowed", "acme.example", new)
    assert scene.secret()["data"] == before["data"]
    scene.certificate(new)
    after = reissued(scene, before)
    assert entry(after, "ca.crt") != entry(before, "ca.crt")
    assert after["metadata"]["labels"]["anchorline.dev/authority"] == new


def test_two_certificates_and_one_secret(scene: Scene) -> None:
    ca = scene.ca()
    secret = scene.issued(ca, "older", secretName="shared")
    started = time.time()
    awaited(lambda: time.time() > started + 1, "the next second: ages are whole seconds")
    scene.certificate(ca, "younger", secretName="shared")
    message = scene.refused("Certificate", "younger", "SecretContested", "shared", "older")
    assert "choose another secretName" in message
    assert serial(scene.secret("shared")) == serial(secret)
    scene.api.delete("Certificate", "older", scene.name)
    # The garbage collector may be faster than the news that the older one is gone: then its Secret comes once more.
    awaited(lambda: names_in(scene, "shared") == [f"younger.{scene.name}.svc"], "the Secret is the younger one's")
    scene.ready("Certificate", "younger")


def names_in(scene: Scene, secret: str) -> list[str]:
    """DNS names of the certificate in a Secret; none while it is not there."""
    found = scene.api.get("Secret", secret, scene.name)
    if found is None:
        return []
    names = leaf(found).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)
