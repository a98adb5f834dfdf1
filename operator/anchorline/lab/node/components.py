"""The programs of a node and their command lines; those of the control plane with what a node needs besides."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from anchorline.lab import certificates, kubeconfig
from anchorline.lab.components import Component, all_of, command
from anchorline.lab.folder import Folder
from anchorline.lab.node import settings
from anchorline.lab.ports import LOOPBACK, Ports

BUILT = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")
_USERS = {
    "kube-scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{settings.NODE}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", None),
    "coredns": ("coredns", "system:masters"),
}


def material(folder: Folder, server: str, now: dt.datetime) -> None:
    """Write a kubeconfig for each program that talks with the API server, under the CA that is in the folder."""
    certificate = x509.load_pem_x509_certificate(folder.ca.read_bytes())
    key = serialization.load_pem_private_key((folder.pki / "ca.key").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the lab's CA has another kind of key than it was made with")
    ca = certificates.Pair(certificate=certificate, key=key)
    for name, (user, group) in _USERS.items():
        pair = certificates.client(ca, user, group, now)
        kubeconfig.write(_kubeconfig(folder, name), kubeconfig.for_certificate(server, ca.pem, pair))


def all_on_node(folder: Folder, ports: Ports, binaries: dict[str, Path], *, fsync: bool) -> tuple[Component, ...]:
    """Return the components in the order in which they start."""
    etcd, apiserver, manager = all_of(folder, ports, binaries, fsync=fsync)
    return (
        _containerd(folder),
        etcd,
        _apiserver(folder, apiserver),
        _manager(folder, manager),
        _scheduler(folder, binaries["kube-scheduler"]),
        _kubelet(folder, binaries["kubelet"]),
        _proxy(folder, binaries["kube-proxy"]),
        _coredns(folder, binaries["coredns"]),
    )


def _kubeconfig(folder: Folder, name: str) -> Path:
    return folder.root / f"{name}.kubeconfig"


def _containerd(folder: Folder) -> Component:
    path = Path("/usr/bin/containerd")
    flags = {"config": folder.root / "containerd.toml"}
    return Component(name="containerd", command=command(path, flags), port=0, ready_path="", scheme="unix")


def _apiserver(folder: Folder, plain: Component) -> Component:
    """Reach it from pods and let it reach the kubelet; Services are kube-proxy's business here, as in any cluster."""
    return plain.with_flags(
        bind_address="0.0.0.0",  # noqa: S104 - of a network namespace that has no way out
        advertise_address=settings.NODE_ADDRESS,
        endpoint_reconciler_type="lease",
        enable_aggregator_routing="false",
        enable_admission_plugins="NodeRestriction",
        kubelet_client_certificate=folder.pki / "admin.crt",
        kubelet_client_key=folder.pki / "admin.key",
        kubelet_certificate_authority=folder.ca,
        kubelet_preferred_address_types="InternalIP",
    )


def _manager(folder: Folder, plain: Component) -> Component:
    return plain.with_flags(
        controllers="*",
        cluster_signing_cert_file=folder.ca,
        cluster_signing_key_file=folder.pki / "ca.key",
    )


def _scheduler(folder: Folder, binary: Path) -> Component:
    flags = {
        "kubeconfig": _kubeconfig(folder, "kube-scheduler"),
        "bind-address": LOOPBACK,
        "leader-elect": "false",
        "tls-cert-file": folder.pki / "server.crt",
        "tls-private-key-file": folder.pki / "server.key",
    }
    return Component(name="kube-scheduler", command=command(binary, flags), port=10259, ready_path="/healthz")


def _kubelet(folder: Folder, binary: Path) -> Component:
    flags = {
        "config": folder.root / "kubelet.json",
        "kubeconfig": _kubeconfig(folder, "kubelet"),
        "hostname-override": settings.NODE,
        "node-ip": settings.NODE_ADDRESS,
    }
    return Component(name="kubelet", command=command(binary, flags), port=10248, ready_path="/healthz", scheme="http")


def _proxy(folder: Folder, binary: Path) -> Component:
    flags = {"config": folder.root / "kube-proxy.json"}
    return Component(
        name="kube-proxy", command=command(binary, flags), port=10256, ready_path="/healthz", scheme="http"
    )


def _coredns(folder: Folder, binary: Path) -> Component:
    flags = {"conf": folder.root / "Corefile"}
    return Component(name="coredns", command=command(binary, flags), port=8181, ready_path="/ready", scheme="http")
