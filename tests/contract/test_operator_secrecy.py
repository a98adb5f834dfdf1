"""No private key leaves its Secret: not into logs, events, statuses, ConfigMaps or metrics (P9)."""

import base64

import pytest
from tests.contract.conftest import Scene, entry
from tests.support.certificates import ec_key
from tests.support.operator import SYSTEM, Operator, Site, awaited

pytestmark = pytest.mark.contract


def told(site: Site) -> dict[str, str]:
    """Everything that operators have said to this day, besides Secrets."""
    said = {str(path): path.read_text(errors="replace") for path in site.logs}
    for kind in ("Event", "ConfigMap", "PrivateCA", "Certificate", "Namespace"):
        said[kind] = str(site.api.list(kind))
    return {**said, "metrics": "\n".join(site.metrics)}


def traces(pem: bytes) -> list[str]:
    """What would betray a key: lines of its PEM, and their base64 as in a Secret."""
    body = [line for line in pem.decode().splitlines() if line and "-----" not in line]
    # The first line names the algorithm, and is the same for all keys of a kind.
    return [*(line for line in body[1:] if len(line) > 16), base64.b64encode(pem).decode()[60:120]]


def test_no_key_is_told(scene: Scene, operator: Operator) -> None:
    ca = scene.ca()
    kinds = [{"algorithm": "RSA"}, {"encoding": "PKCS1"}, {"size": 384}, {"algorithm": "Ed25519"}, {}]
    for number, kind in enumerate(kinds):
        scene.issued(ca, f"web-{number}", privateKey=kind)
    broken = base64.b64encode(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldC1zZWNyZXQ=\n-----END PRIVATE KEY-----\n")
    for key in ("tls.crt", "tls.key", "ca.crt"):
        body = {"data": {key: broken.decode()}}
        revision = scene.secret("web-0-tls")["metadata"]["resourceVersion"]
        scene.api.merge("Secret", "web-0-tls", scene.name, body=body)
        awaited(
            lambda key=key: scene.secret("web-0-tls")["data"][key] != broken.decode(),  # type: ignore[misc]
            f"a private key in {key} is replaced; it was {revision}",
        )
    metadata = {"name": f"{ca}-key-in-cert", "namespace": SYSTEM}
    pem = base64.b64encode(ec_key(31).to_pem()).decode()
    scene.api.create({"kind": "Secret", "metadata": metadata, "data": {"tls.crt": pem, "tls.key": pem}})
    other = f"{ca}-b"
    scene.put_ca(other, subject=None, root={"source": "Secret", "secretName": metadata["name"]})
    scene.refused("PrivateCA", other, "CorruptMaterial", metadata["name"])
    operator.idle()
    operator.site.metrics.append(operator.get("/metrics")[1])
    assert no_key_is_in(operator.site)


def no_key_is_in(site: Site) -> bool:
    """Assert that nothing of any key in any Secret is in what operators have told."""
    secrets = [each for each in site.api.list("Secret") if "tls.key" in (each.get("data") or {})]
    assert len(secrets) >= 7, "there are keys to look for"
    marks = [trace for each in secrets for trace in traces(entry(each, "tls.key"))]
    marks += ["PRIVATE KEY", "c2VjcmV0LXNlY3JldC1zZWNyZXQ", base64.b64encode(b"-----BEGIN PRIV")[:16].decode()]
    for where, text in told(site).items():
        assert text, f"{where} is empty"
        for mark in marks:
            assert mark not in text, f"a private key is told in {where}"
    return True
