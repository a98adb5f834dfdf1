"""Rotations in tests: a PrivateCA with what is under it, its phases, and what it must end with."""

import base64
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from tests.support.operator import SYSTEM, Api, Object, Refused, condition, fresh

T = TypeVar("T")
# Short times: a leaf of 30 s is the shortest that the API takes, and an old root waits for its last one.
QUICK = {"propagation": "2s", "reissueOver": "1s", "overlap": "1s", "waitForPods": False}
LAG = "--lag=1.5"
READ_ONCE = "--read-once"
WHOLE_SECONDS = 150.0
LOOK_SECONDS = 0.25


def seen(look: Callable[[], T | None], what: str, seconds: float = 40.0, told: Callable[[], object] = str) -> T:
    """What `look` finds as soon as it finds something; a look costs a connection, so there are four in a second."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}; {told()}"
        time.sleep(LOOK_SECONDS)
    return found


def steadily(look: Callable[[], bool], what: str, seconds: float) -> None:
    """Something stays true for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert look(), what
        time.sleep(LOOK_SECONDS)


def certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM text."""
    return x509.load_pem_x509_certificates(pem) if b"BEGIN" in pem else []


def entry(obj: Object, key: str) -> bytes:
    """One entry of a Secret, decoded."""
    return base64.b64decode(obj["data"].get(key, ""))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, as status tells it."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@dataclass
class Rotation:
    """One PrivateCA of a test, and what is under it; `leaf` is what every Certificate says besides."""

    api: Api
    name: str = field(default_factory=lambda: fresh("rot"))
    namespaces: list[str] = field(default_factory=list)
    spec: Object = field(default_factory=dict)
    leaf: Object = field(default_factory=dict)

    def begin(self, *, namespaces: int = 2, certificates: int = 1, **spec: Any) -> "Rotation":
        """Create the PrivateCA, its namespaces and their Certificates, and wait until all is ready."""
        self.put(**spec)
        for _ in range(namespaces):
            self.namespace(certificates=certificates)
        self.ready()
        return self

    def put(self, **spec: Any) -> None:
        """Create or change the PrivateCA."""
        rotation = {**QUICK, **self.spec.get("rotation", {}), **spec.pop("rotation", {})}
        defaults = {"subject": {"commonName": self.name}, "deletionPolicy": "Delete", "leaf": {"duration": "30s"}}
        self.spec = {**defaults, **self.spec, **spec, "rotation": rotation}
        given = {key: value for key, value in self.spec.items() if value is not None}
        self.api.apply({"kind": "PrivateCA", "metadata": {"name": self.name}, "spec": given})

    def namespace(self, *, certificates: int = 1, trust: str = "") -> str:
        """Create a namespace that asks for this CA (or for these), with Certificates."""
        name = f"{self.name}-{len(self.namespaces)}"
        annotations = {"anchorline.dev/trust": trust or self.name, "anchorline.dev/public-roots": "false"}
        self.api.create({"kind": "Namespace", "metadata": {"name": name, "annotations": annotations}})
        self.namespaces.append(name)
        for number in range(certificates):
            self.certificate(name, f"web{number}")
        return name

    def certificate(self, namespace: str, name: str, **more: Any) -> None:
        """Create a Certificate."""
        host = f"{name}.{namespace}.svc"
        spec = {"caRef": {"name": self.name}, "secretName": f"{name}-tls", "dnsNames": [host], **self.leaf, **more}
        self.api.create({"kind": "Certificate", "metadata": {"name": name, "namespace": namespace}, "spec": spec})

    def end(self) -> None:
        """Take all away; the namespaces go when the cluster gets to it."""
        for namespace in self.namespaces:
            self.api.delete("Namespace", namespace)
        self.api.delete("PrivateCA", self.name)

    # --- what is seen

    @property
    def ca(self) -> Object:
        """The PrivateCA."""
        found = self.api.get("PrivateCA", self.name)
        assert found is not None, f"PrivateCA {self.name} is gone"
        return found

    @property
    def phases(self) -> dict[int, str]:
        """Phases by generation, as status tells them."""
        return {each["number"]: each["phase"] for each in self.ca.get("status", {}).get("generations", [])}

    @property
    def says(self) -> str:
        """What status says, whole: its conditions, and what each generation waits for."""
        ca = self.ca
        waits = [f"{each['number']} {each.get('waitingFor', '')}" for each in ca["status"].get("generations", [])]
        told = [f"{kind}: {condition(ca, kind).get('message')}" for kind in ("Ready", "Rotating", "Distributed")]
        return "; ".join([*told, *waits])

    def secrets(self, role: str = "") -> dict[str, Object]:
        """The authority's Secrets by name."""
        wanted = f"anchorline.dev/authority={self.name}" + (f",anchorline.dev/role={role}" if role else "")
        return {each["metadata"]["name"]: each for each in self.api.list("Secret", SYSTEM, wanted)}

    def leaves(self) -> list[Object]:
        """Secrets of all Certificates."""
        label = f"anchorline.dev/authority={self.name},anchorline.dev/role=leaf"
        return [each for name in self.namespaces for each in self.api.list("Secret", name, label)]

    def store(self, namespace: str) -> list[str]:
        """Fingerprints of the private roots in a namespace's trust store."""
        found = self.api.get("ConfigMap", "anchorline-trust", namespace)
        data = (found or {}).get("data", {})
        return [fingerprint(each) for each in certificates(data.get("private-ca.crt", "").encode())]

    def roots(self) -> dict[int, str]:
        """Fingerprints by generation, as status tells them."""
        return {each["number"]: each["fingerprint"] for each in self.ca["status"]["generations"]}

    # --- what is done and waited for

    def ready(self) -> None:
        """Wait until the CA and all Certificates are Ready, and every store is there."""

        def look() -> bool:
            made = [each for name in self.namespaces for each in self.api.list("Certificate", name)]
            fit = all(condition(each, "Ready").get("status") == "True" for each in (self.ca, *made))
            return fit and all(self.store(name) for name in self.namespaces)

        seen(look, f"{self.name} is ready", told=lambda: self.says)

    def annotate(self, **annotations: str | None) -> None:
        """Write annotations of the PrivateCA: rotate=..., compromised=..., compromised_now=..."""
        body = {f"anchorline.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.api.merge("PrivateCA", self.name, body={"metadata": {"annotations": body}})

    def until(self, phases: str, *, seconds: float = WHOLE_SECONDS) -> None:
        """Wait until the newest generations are in these phases: `Distributing Active`, newest first."""
        wanted = phases.split()

        def look() -> bool:
            with suppress(Refused, OSError):
                return [phase for _, phase in sorted(self.phases.items(), reverse=True)][: len(wanted)] == wanted
            return False

        seen(look, f"{self.name} in {phases}", seconds, lambda: self.says)

    def until_says(self, *words: str, seconds: float = 40.0) -> str:
        """Wait until status says all these words somewhere."""
        return seen(
            lambda: said if all(each in (said := self.says) for each in words) else None,
            f"{self.name} says {words}",
            seconds,
            lambda: self.says,
        )

    def ended(self, *, generation: int = 2, seconds: float = WHOLE_SECONDS) -> None:
        """Wait until a rotation is over, and look whether all is as it must be then."""
        self.until("Active" + " Retired" * (generation - 1), seconds=seconds)
        self.assert_one_root(generation)

    def assert_one_root(self, generation: int) -> None:
        """One live root, its records, chains without a bridge, and stores with nothing else."""
        newest = self.roots()[generation]
        seen(
            lambda: all(self.store(name) == [newest] for name in self.namespaces),
            f"every store has only {newest[:16]}",
            told=lambda: {name: self.store(name) for name in self.namespaces},
        )
        names = set(self.secrets())
        assert {each for each in names if "-root-" in each} == {f"{self.name}-root-{generation}"}
        assert {each for each in names if "-retired-" in each} == {
            f"{self.name}-retired-{number}" for number in range(1, generation)
        }
        assert all(re.fullmatch(rf".*-{generation}-\d+", each) for each in names if "-intermediate-" in each)
        seen(lambda: all(_plain(each, newest) for each in self.leaves()), "every chain is the plain one")
        assert condition(self.ca, "Rotating")["reason"] == "NotRotating"

    def chain_lengths(self) -> set[int]:
        """How many certificates the servers send."""
        return {len(certificates(entry(each, "tls.crt"))) for each in self.leaves()}


def _plain(secret: Object, root: str) -> bool:
    """Whether a Secret holds leaf and intermediate, and trusts one root alone."""
    trusted = [fingerprint(each) for each in certificates(entry(secret, "ca.crt"))]
    return len(certificates(entry(secret, "tls.crt"))) == 2 and trusted == [root]
