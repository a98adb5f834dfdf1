"""Where the API server is and who we are to it: from a service account, or from a kubeconfig."""

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from anchorline.errors import ClusterError, InvalidSpec

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVICE_ACCOUNT_VARIABLE: Final = "ANCHORLINE_SERVICE_ACCOUNT_DIR"
SERVER_VARIABLE: Final = "ANCHORLINE_API_SERVER"
# A projected token is renewed by the kubelet when a fifth of its life is left: a minute is early enough by far.
TOKEN_SECONDS: Final = 60.0


@dataclass(kw_only=True)
class Connection:
    """One API server and one identity. Tokens and keys stay out of `repr`.

    `token_source` makes a token (an exec plugin; it may block); `token_file` is read again at most once a minute.
    """

    server: str
    ca_file: Path | None = None
    ca_data: bytes | None = field(default=None, repr=False)
    token_file: Path | None = None
    token: str = field(default="", repr=False)
    token_source: Callable[[], str] | None = field(default=None, repr=False)
    client_certificate: Path | None = None
    client_key: Path | None = None
    namespace: str = "default"
    user_agent: str = "anchorline"
    verify: bool = True
    tls_server_name: str = ""
    _read_at: float = field(default=-TOKEN_SECONDS, repr=False, compare=False)

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS settings with our client certificate, None for plain http. Raises ClusterError for unreadable files."""
        if not self.server.startswith("https:"):
            return None
        try:
            data = self.ca_data.decode("ascii") if self.ca_data else None
            context = ssl.create_default_context(cafile=self.ca_file, cadata=data)
            if self.client_certificate:
                context.load_cert_chain(self.client_certificate, self.client_key)
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            raise ClusterError(f"cannot read the certificates for {self.server}: {error}") from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def token_is_stale(self) -> bool:
        """Whether `refresh_token` should be called before the next request."""
        if not self.token_file and not self.token_source:
            return False
        return time.monotonic() - self._read_at >= TOKEN_SECONDS

    def refresh_token(self) -> None:
        """Read the token again (this may block when an exec plugin makes it).

        Raises ClusterError when there is none to be had; the one known before stays in use until the server says 401.
        """
        self._read_at = time.monotonic()
        try:
            if self.token_file:
                self.token = self.token_file.read_text().strip()
            elif self.token_source:
                self.token = self.token_source()
        except Exception as error:
            if not self.token:
                self.forget_token()
                # The text of an exec plugin's failure may hold what it printed, so only its kind is told.
                raise ClusterError(f"cannot read a token for {self.server}: {type(error).__name__}") from error

    def forget_token(self) -> None:
        """Make the next request read the token again (after a 401)."""
        self._read_at = -TOKEN_SECONDS


def in_cluster(directory: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> Connection:
    """Connect as the service account whose files are in `directory`.

    The server is KUBERNETES_SERVICE_HOST and _PORT, or the URL in ANCHORLINE_API_SERVER. Raises InvalidSpec.
    """
    server = environ.get(SERVER_VARIABLE) or _service_url(environ)
    token, ca, namespace = (directory / name for name in ("token", "ca.crt", "namespace"))
    if not token.is_file():
        raise InvalidSpec(f"There is no service account token at {token}; run in a pod, or pass --kubeconfig.")
    return Connection(
        server=server.rstrip("/"),
        ca_file=ca if ca.is_file() else None,
        token_file=token,
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
    )


def _service_url(environ: Mapping[str, str]) -> str:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise InvalidSpec(
            f"KUBERNETES_SERVICE_HOST is not set; run in a pod, set {SERVER_VARIABLE}, or pass --kubeconfig."
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def from_kubeconfig(path: Path | None = None, context: str | None = None) -> Connection:
    """Connect as a kubeconfig says: client certificate, token or exec plugin.

    Without `path`: KUBECONFIG, then ~/.kube/config. Raises InvalidSpec when it, or the optional package, is not there.
    """
    if path is not None and not path.is_file():
        raise InvalidSpec(f"There is no kubeconfig file {path}; give the path of one that exists.")
    try:
        import yaml
        from kubernetes import client, config  # its functions have no types
    except ImportError:
        raise InvalidSpec(
            "Reading a kubeconfig needs one more package; run: pip install 'anchorline[kubeconfig]'"
        ) from None
    settings = client.Configuration()
    load: Any = config.load_kube_config
    contexts_of: Any = config.list_kube_config_contexts
    file = str(path) if path else None
    try:
        load(file, context, settings, persist_config=False)
        contexts, current = contexts_of(file)
    except yaml.YAMLError:
        # Its text spans lines and quotes the file, which may hold a token.
        raise InvalidSpec(f"cannot use the kubeconfig {path or 'of this user'}: it is not YAML") from None
    except (config.ConfigException, OSError, ValueError) as error:
        if path is None and "No configuration found" in str(error):
            raise InvalidSpec(
                "There is no cluster to talk to: neither KUBECONFIG nor ~/.kube/config names one; pass --kubeconfig."
            ) from error
        raise InvalidSpec(f"cannot use the kubeconfig {path or 'of this user'}: {error}") from error
    chosen = next((entry for entry in contexts if entry["name"] == context), current)
    return _connection(settings, chosen["context"].get("namespace") or "default")


def _connection(settings: Any, namespace: str) -> Connection:  # noqa: ANN401 - kubernetes has no types
    def bearer() -> str:
        return str(settings.get_api_key_with_prefix("BearerToken") or "").removeprefix("Bearer ").strip()

    def path(name: str | None) -> Path | None:
        return Path(name) if name else None

    token = bearer()
    return Connection(
        server=settings.host.rstrip("/"),
        ca_file=path(settings.ssl_ca_cert),
        token=token,
        token_source=bearer if token else None,
        client_certificate=path(settings.cert_file),
        client_key=path(settings.key_file),
        namespace=namespace,
        verify=bool(settings.verify_ssl),
        tls_server_name=getattr(settings, "tls_server_name", None) or "",
    )


def discover(kubeconfig: Path | None = None, environ: Mapping[str, str] = os.environ) -> Connection:
    """Choose the connection: the kubeconfig that was named, else the service account, else the user's kubeconfig.

    ANCHORLINE_SERVICE_ACCOUNT_DIR names another directory for the service account's files. Raises InvalidSpec.
    """
    if kubeconfig:
        return from_kubeconfig(kubeconfig)
    named = environ.get(SERVICE_ACCOUNT_VARIABLE)
    directory = Path(named) if named else SERVICE_ACCOUNT
    if named or (directory / "token").is_file():
        return in_cluster(directory, environ)
    return from_kubeconfig()
