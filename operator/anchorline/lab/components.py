"""The command lines of etcd, kube-apiserver and kube-controller-manager."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anchorline.lab.folder import Folder
from anchorline.lab.ports import LOOPBACK, Ports

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")

CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
)

# Below the lab's folder, where both run and nobody else may look: what goes through it needs no TLS, which would cost
# etcd a quarter of its time. A path from the root could be longer than a socket's may be.
_ETCD_SOCKET = "unix://etcd.sock"

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program to run: what it is called, where it listens, where it says that it is ready."""

    name: str
    command: tuple[str, ...]
    port: int
    ready_path: str
    scheme: str = "https"

    @property
    def ready_url(self) -> str:
        """The address that answers 200 when the component is ready."""
        return f"{self.scheme}://{LOOPBACK}:{self.port}{self.ready_path}"

    def with_flags(self, **flags: object) -> "Component":
        """Return the same program with some flags set otherwise; a dash is written as an underscore."""
        changed = {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        kept = [word for word in self.command if word.partition("=")[0] not in changed]
        return replace(self, command=(*kept, *(f"{flag}={value}" for flag, value in changed.items())))


def all_of(folder: Folder, ports: Ports, binaries: dict[str, Path], *, fsync: bool) -> tuple[Component, ...]:
    """Return the components in the order in which they start."""
    return (
        _etcd(folder, ports, binaries["etcd"], fsync=fsync),
        _apiserver(folder, ports, binaries["kube-apiserver"]),
        _controller_manager(folder, ports, binaries["kube-controller-manager"]),
    )


def _etcd(folder: Folder, ports: Ports, binary: Path, *, fsync: bool) -> Component:
    health, peer = (f"https://{LOOPBACK}:{port}" for port in (ports.etcd, ports.etcd_peer))
    tls = {"cert-file": "server.crt", "key-file": "server.key", "trusted-ca-file": "ca.crt"}
    flags = {
        "name": "lab",
        "data-dir": folder.etcd_data,
        "listen-client-urls": _ETCD_SOCKET,
        "advertise-client-urls": _ETCD_SOCKET,
        "listen-metrics-urls": health,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"lab={peer}",
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        **{flag: folder.pki / file for flag, file in tls.items()},
        **{f"peer-{flag}": folder.pki / file for flag, file in tls.items()},
        "quota-backend-bytes": 8 * 2**30,
        "log-level": "warn",
        **({} if fsync else {"unsafe-no-fsync": "true"}),
    }
    return Component(name="etcd", command=command(binary, flags), port=ports.etcd, ready_path="/health")


def _apiserver(folder: Folder, ports: Ports, binary: Path) -> Component:
    pki = folder.pki
    flags = {
        "bind-address": LOOPBACK,
        "secure-port": ports.apiserver,
        "advertise-address": LOOPBACK,
        "endpoint-reconciler-type": "none",
        "etcd-servers": _ETCD_SOCKET,
        "tls-cert-file": pki / "server.crt",
        "tls-private-key-file": pki / "server.key",
        "client-ca-file": folder.ca,
        "token-auth-file": pki / "tokens.csv",
        "authorization-mode": "Node,RBAC",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": pki / "service-account.pub",
        "service-account-signing-key-file": pki / "service-account.key",
        "service-cluster-ip-range": "10.96.0.0/16",
        "enable-aggregator-routing": "true",
        "allow-privileged": "true",
        "max-requests-inflight": 2000,
        "max-mutating-requests-inflight": 1000,
        **_audit_flags(folder),
    }
    return Component(name="kube-apiserver", command=command(binary, flags), port=ports.apiserver, ready_path="/readyz")


def _audit_flags(folder: Folder) -> dict[str, object]:
    """Blocking, so that no request is ever left out; in one file, so that a position in it stays true."""
    return {
        "audit-policy-file": folder.root / "audit-policy.yaml",
        "audit-log-path": folder.audit_log,
        "audit-log-mode": "blocking",
        "audit-log-maxsize": 1_000_000,  # MB; 0 would mean 100
    }


def _controller_manager(folder: Folder, ports: Ports, binary: Path) -> Component:
    kubeconfig = folder.root / "controller-manager.kubeconfig"
    flags = {
        "bind-address": LOOPBACK,
        "secure-port": ports.controller_manager,
        "tls-cert-file": folder.pki / "server.crt",
        "tls-private-key-file": folder.pki / "server.key",
        "kubeconfig": kubeconfig,
        "service-account-private-key-file": folder.pki / "service-account.key",
        "root-ca-file": folder.ca,
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "controllers": ",".join(CONTROLLERS),
    }
    return Component(
        name="kube-controller-manager",
        command=command(binary, flags),
        port=ports.controller_manager,
        ready_path="/healthz",
    )


def command(binary: Path, flags: Mapping[str, object]) -> tuple[str, ...]:
    """Return the command line of a program with its flags."""
    return (str(binary), *(f"--{flag}={value}" for flag, value in flags.items()))
