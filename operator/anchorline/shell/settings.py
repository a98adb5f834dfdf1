"""What the operator process is told: by flags, by environment, by its service account."""

import argparse
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from anchorline.kube.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the operator process."""

    kubeconfig: Path | None = None
    namespace: str = ""
    cluster_domain: str = "cluster.local"
    address: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    health_port: int = 8080
    log_level: str = "info"
    leader_elect: bool = True
    identity: str = ""
    workers: int = 16
    nudge_pods: bool = False
    restart_workloads: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `anchorline operator`."""
    parser.add_argument(
        "--kubeconfig", type=Path, help="connect as this file says; default: service account, KUBECONFIG"
    )
    parser.add_argument(
        "--namespace", default=os.environ.get("POD_NAMESPACE", ""), help="where authority Secrets are kept"
    )
    parser.add_argument("--cluster-domain", default="cluster.local", help="DNS domain of the cluster")
    parser.add_argument("--address", default="0.0.0.0", help="address for health and metrics")  # noqa: S104
    parser.add_argument(
        "--health-port", type=int, default=8080, help="port for /healthz, /readyz, /metrics; 0: a free one"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument(
        "--leader-elect", action=argparse.BooleanOptionalAction, default=True, help="hold a Lease to act"
    )
    parser.add_argument("--identity", default=os.environ.get("POD_NAME", ""), help="name of this process in the Lease")
    parser.add_argument("--workers", type=int, default=16, help="plans that are carried out at the same time")
    parser.add_argument("--nudge-pods", action="store_true", help="touch injected pods after their trust store changed")
    parser.add_argument(
        "--restart-workloads", action="store_true", help="restart workloads that ask for it in a rotation"
    )


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """Settings from parsed flags."""
    return Settings(
        kubeconfig=arguments.kubeconfig,
        namespace=arguments.namespace,
        cluster_domain=arguments.cluster_domain,
        address=arguments.address,
        health_port=arguments.health_port,
        log_level=arguments.log_level,
        leader_elect=arguments.leader_elect,
        identity=arguments.identity or f"{socket.gethostname()}-{os.getpid()}",
        workers=arguments.workers,
        nudge_pods=arguments.nudge_pods,
        restart_workloads=arguments.restart_workloads,
    )


def namespace_of(settings: Settings, connection: Connection) -> str:
    """The operator's namespace: the flag, POD_NAMESPACE, or the service account's."""
    return settings.namespace or connection.namespace
