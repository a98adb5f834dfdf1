"""The stage of the operator's contract tests: a control plane with the chart, an operator a module, a scene a test.

It is not the `plane` of the other contract tests: they install and uninstall the chart, which would end this operator.
"""

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.lab import given, needs_own, own_plane, plane
from tests.support.operator import ACCOUNT, SYSTEM, Api, Object, Operator, Site, awaited, condition, fresh
from tests.support.site import a_site, borrowed_site

__all__ = ["own_plane", "plane"]


@dataclass
class Scene:
    """One test's own namespace, and what it makes there."""

    site: Site
    name: str
    cas: list[str] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """The API server, as the administrator."""
        return self.site.api

    def ca(self, *, ready: bool = True, **spec: Any) -> str:
        """Create a PrivateCA of this test's own, whose keys go with it; wait until it is Ready."""
        name = fresh("ca")
        self.put_ca(name, **spec)
        if ready:
            self.ready("PrivateCA", name)
        return name

    def put_ca(self, name: str, **spec: Any) -> None:
        """Create or change a PrivateCA."""
        self.cas.append(name)
        spec = _given({"subject": {"commonName": name}, "deletionPolicy": "Delete", **spec})
        self.api.apply({"kind": "PrivateCA", "metadata": {"name": name}, "spec": spec})

    def certificate(self, ca: str, name: str = "web", **spec: Any) -> str:
        """Create or change a Certificate."""
        host = f"{name}.{self.name}.svc"
        spec = _given({"caRef": {"name": ca}, "secretName": f"{name}-tls", "dnsNames": [host], **spec})
        self.api.apply({"kind": "Certificate", "metadata": {"name": name, "namespace": self.name}, "spec": spec})
        return name

    def issued(self, ca: str, name: str = "web", **spec: Any) -> Object:
        """Create a Certificate, wait until it is Ready, and return its Secret."""
        self.certificate(ca, name, **spec)
        self.ready("Certificate", name)
        return self.secret(spec.get("secretName", f"{name}-tls"))

    def resource(self, kind: str, name: str) -> Object:
        """Read a PrivateCA, or something in this namespace."""
        found = self.api.get(kind, name, self.name)
        assert found is not None, f"{kind} {name} is gone"
        return found

    def secret(self, name: str = "web-tls") -> Object:
        """Read a Secret of this namespace."""
        return self.resource("Secret", name)

    def ready(self, kind: str, name: str, *, seconds: float = 30.0) -> Object:
        """Wait until an object's newest spec is Ready."""
        return self.said(kind, name, "True", seconds=seconds)

    def refused(self, kind: str, name: str, reason: str, *words: str, seconds: float = 30.0) -> str:
        """Wait until an object is not Ready for this reason; every word must be in its sentence, which is returned."""
        obj = self.said(kind, name, "False", reason, seconds=seconds)
        message: str = condition(obj, "Ready")["message"]
        for word in words:
            assert word in message
        return message

    def said(self, kind: str, name: str, status: str, reason: str = "", *, seconds: float = 30.0) -> Object:
        """Wait until Ready has this status (and reason) for the newest spec."""
        seen: list[Object] = []

        def look() -> Object | None:
            obj = self.api.get(kind, name, self.name)
            seen[:] = [condition(obj or {}, "Ready")]
            current = (
                obj is not None and obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"]
            )
            fits = seen[0].get("status") == status and seen[0].get("reason", "").startswith(reason)
            return obj if current and fits else None

        try:
            return awaited(look, f"{kind} {name} Ready={status} {reason}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {seen}") from None

    def events(self, name: str, reason: str = "") -> list[Object]:
        """Our events about an object."""
        found = [*self.api.list("Event", self.name), *self.api.list("Event", "default")]
        return [e for e in found if e["regarding"].get("name") == name and e["reason"].startswith(reason)]

    def event(self, name: str, reason: str) -> str:
        """Wait for an event about an object, and return its note."""
        return str(awaited(lambda: self.events(name, reason), f"event {reason} on {name}")[0]["note"])

    def trust(self, value: str | None, **annotations: str | None) -> None:
        """Write, or take away, the namespace's trust annotation."""
        wanted = {"anchorline.dev/trust": value, **annotations}
        self.api.merge("Namespace", self.name, body={"metadata": {"annotations": wanted}})

    def store(self) -> Object | None:
        """The trust store of this namespace."""
        return self.api.get("ConfigMap", "anchorline-trust", self.name)

    def edit_store(self, data: Object | None) -> None:
        """Change entries of the trust store, or delete it: with the operator's token, since nobody else may."""
        thief = Api(self.site.plane.service_account_kubeconfig(SYSTEM, ACCOUNT))
        path = thief.path("ConfigMap", "anchorline-trust", self.name)
        if data is None:
            thief.call("DELETE", path)
            return
        found = thief.call("GET", path)
        thief.call("PUT", path, {**found, "data": _given({**found["data"], **data})})

    def pod(self, name: str, labels: dict[str, str]) -> None:
        """Create a pod; there is no kubelet, so it stays Pending until it is deleted."""
        awaited(lambda: self.api.get("ServiceAccount", "default", self.name), "the namespace's service account")
        spec = {"containers": [{"name": "main", "image": "none"}], "terminationGracePeriodSeconds": 0}
        metadata = {"name": name, "namespace": self.name, "labels": labels}
        self.api.create({"kind": "Pod", "metadata": metadata, "spec": spec})

    @property
    def labelled(self) -> bool:
        """Whether injection is switched on here."""
        labels = self.resource("Namespace", self.name)["metadata"].get("labels", {})
        return bool(labels.get("anchorline.dev/trust") == "enabled")


def _given(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if value is not None}


def entry(secret: Object, key: str) -> bytes:
    """One decoded entry of a Secret."""
    return base64.b64decode(secret["data"][key])


def leaf(secret: Object) -> x509.Certificate:
    """The first certificate of a Secret."""
    return x509.load_pem_x509_certificate(entry(secret, "tls.crt"))


def verified(secret: Object, directory: Path) -> str:
    """What openssl says of the chain in a Secret, in its strict mode."""
    chain = x509.load_pem_x509_certificates(entry(secret, "tls.crt"))
    files = {name: directory / f"{name}.pem" for name in ("leaf", "between", "roots")}
    pem = [each.public_bytes(Encoding.PEM) for each in chain]
    files["leaf"].write_bytes(pem[0])
    files["between"].write_bytes(b"".join(pem[1:]))
    files["roots"].write_bytes(entry(secret, "ca.crt"))
    trust = ["-CAfile", str(files["roots"]), "-no-CApath", "-untrusted", str(files["between"])]
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *trust, str(files["leaf"])]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr


def reissued(scene: Scene, before: Object, name: str = "web-tls") -> Object:
    """Wait until a Secret holds another certificate than before."""
    old = serial(before)

    def look() -> Object | None:
        found = scene.api.get("Secret", name, scene.name)
        return found if found and serial(found) not in (0, old) else None

    return awaited(look, f"Secret {name} holds another certificate")


def serial(secret: Object) -> int:
    """Serial number of the certificate in a Secret, 0 when it cannot be read."""
    try:
        return leaf(secret).serial_number
    except (KeyError, ValueError):
        return 0


def _as_long(**_: object) -> Literal["session", "module"]:
    """On the user's cluster other modules install the chart too, so that each module has it for itself."""
    return "module" if given() else "session"


@pytest.fixture(scope=_as_long)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The cluster of all tests that break nothing."""
    directory = tmp_path_factory.mktemp("operators")
    with borrowed_site(request.getfixturevalue("plane"), directory) if given() else a_site(directory) as found:
        yield found


@pytest.fixture
def counted() -> None:
    """Skips a test that counts requests where there is no audit log."""
    needs_own("counts requests in the audit log")


@pytest.fixture(scope="module")
def operator(site: Site) -> Iterator[Operator]:
    """An operator that is ready and leads."""
    process = Operator(site)
    try:
        yield process.start()
    finally:
        process.end()


@pytest.fixture
def scene(operator: Operator) -> Iterator[Scene]:
    """A namespace of this test's own, with an operator at work."""
    yield from a_scene(operator.site)


def a_scene(site: Site) -> Iterator[Scene]:
    """A namespace of a test's own; what the test made is taken away at its end."""
    stage = Scene(site, fresh("shop"))
    site.namespaces.append(stage.name)
    site.api.create({"kind": "Namespace", "metadata": {"name": stage.name}})
    try:
        yield stage
    finally:
        site.api.delete("Namespace", stage.name)
        for name in stage.cas:
            site.api.delete("PrivateCA", name)
