"""Kubeconfig files of the lab: everything embedded, readable by their owner only."""

import base64
import json
from pathlib import Path

import yaml

from anchorline.lab import certificates, files

_NAME = "anchorline-lab"


def for_certificate(server: str, ca_pem: bytes, pair: certificates.Pair) -> dict[str, object]:
    """Make a kubeconfig whose user has a client certificate."""
    return _config(
        server,
        ca_pem,
        {"client-certificate-data": _encoded(pair.pem), "client-key-data": _encoded(pair.key_pem)},
    )


def for_token(server: str, ca_pem: bytes | None, token: str, namespace: str) -> dict[str, object]:
    """Make a kubeconfig whose user has a bearer token; without `ca_pem` the machine's own roots are trusted."""
    return _config(server, ca_pem, {"token": token}, namespace)


def write(path: Path, config: dict[str, object]) -> Path:
    """Write a kubeconfig that nobody else may read, whole or not at all."""
    return files.write(path, yaml.safe_dump(config, sort_keys=False).encode())


def cluster_of(flattened: str) -> tuple[str, bytes | None]:
    """Return server URL and CA of what `kubectl config view --raw --flatten --minify -o json` printed."""
    cluster = json.loads(flattened)["clusters"][0]["cluster"]
    ca = cluster.get("certificate-authority-data")
    return cluster["server"], base64.b64decode(ca) if ca else None


def token_of(flattened: str) -> str | None:
    """Return the bearer token in the same printout, when the user has a fixed one."""
    users = json.loads(flattened).get("users") or [{}]
    token: str | None = users[0].get("user", {}).get("token")
    return token


def _config(server: str, ca_pem: bytes | None, user: dict[str, str], namespace: str = "default") -> dict[str, object]:
    cluster = {"server": server}
    if ca_pem:
        cluster["certificate-authority-data"] = _encoded(ca_pem)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": namespace}}],
        "current-context": _NAME,
    }


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
