"""The flags of `anchorline webhook`, and the settings that they make."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anchorline.shell.webhook.rotation import DEFAULT_LIVES, Lives

SERVICE: Final = "anchorline-webhook"
# The API server calls from another machine.
ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one webhook process runs. `namespace` "": the one of the service account or kubeconfig. Times in seconds."""

    kubeconfig: Path | None = None
    namespace: str = ""
    address: str = ANY_ADDRESS
    port: int = 9443
    health_port: int = 9440
    serving_names: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    log_level: str = "info"
    lives: Lives = DEFAULT_LIVES
    look_again_seconds: float = 30.0

    def names(self, namespace: str) -> tuple[str, ...]:
        """Names and addresses by which the API server may call: those of the Service, and the extra ones."""
        service = f"{SERVICE}.{namespace}.svc"
        return (service, f"{service}.{self.cluster_domain}", *self.serving_names)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--kubeconfig", type=Path, help="file; default: the pod's service account")
    parser.add_argument(
        "--namespace", default=os.environ.get("POD_NAMESPACE", ""), help="where the webhook's Secret is kept"
    )
    parser.add_argument("--address", default=ANY_ADDRESS, help="address to listen on")
    parser.add_argument("--port", type=int, default=9443, help="port for reviews, TLS (default: 9443; 0: any free one)")
    parser.add_argument("--health-port", type=int, default=9440, help="port for /healthz, /readyz, /metrics")
    parser.add_argument(
        "--serving-name",
        action="append",
        default=[],
        help="one more DNS name or IP address for the serving certificate (repeatable)",
    )
    parser.add_argument("--cluster-domain", default="cluster.local", help="domain of the cluster's services")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """Make the settings that the flags say."""
    return Settings(
        kubeconfig=arguments.kubeconfig,
        namespace=arguments.namespace,
        address=arguments.address,
        port=arguments.port,
        health_port=arguments.health_port,
        serving_names=tuple(arguments.serving_name),
        cluster_domain=arguments.cluster_domain,
        log_level=arguments.log_level,
    )
