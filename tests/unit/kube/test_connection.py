"""Finding the API server: service account, kubeconfig, and tokens that change."""

import ssl
import sys
import time
from pathlib import Path

import pytest
import yaml

from anchorline.errors import ClusterError, InvalidSpec
from anchorline.kube import connection as connections

HERE = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("anchorline-system")
    return tmp_path


def kubeconfig(folder: Path, user: dict[str, object]) -> Path:
    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
                "current-context": "x",
            }
        )
    )
    return path


def test_a_pod_finds_its_server_and_namespace(account: Path) -> None:
    found = connections.in_cluster(account, HERE)
    assert (found.server, found.namespace) == ("https://10.96.0.1:443", "anchorline-system")
    v6 = connections.in_cluster(account, {"KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert v6.server == "https://[fd00::1]:443"


def test_the_server_may_be_named_by_url(account: Path) -> None:
    found = connections.in_cluster(account, HERE | {"ANCHORLINE_API_SERVER": "https://127.0.0.1:6443/"})
    assert found.server == "https://127.0.0.1:6443"


def test_a_directory_that_is_named_wins_over_the_users_kubeconfig(account: Path) -> None:
    found = connections.discover(None, HERE | {"ANCHORLINE_SERVICE_ACCOUNT_DIR": str(account)})
    assert found.token_file == account / "token"


def test_without_a_token_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="--kubeconfig"):
        connections.in_cluster(tmp_path, HERE)


def test_the_token_is_read_again_when_it_is_old_or_refused(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    found = connections.in_cluster(account, HERE)
    found.refresh_token()
    (account / "token").write_text("second")
    assert not found.token_is_stale
    assert found.token == "first"
    found.forget_token()
    assert found.token_is_stale
    found.refresh_token()
    assert found.token == "second"
    now += connections.TOKEN_SECONDS
    assert found.token_is_stale


def test_no_token_is_ever_printed(account: Path) -> None:
    found = connections.in_cluster(account, HERE)
    found.refresh_token()
    assert "first" not in repr(found)


def test_a_token_that_cannot_be_read_is_a_cluster_error(account: Path) -> None:
    found = connections.in_cluster(account, HERE)
    (account / "token").unlink()
    with pytest.raises(ClusterError, match="cannot read a token"):
        found.refresh_token()
    assert found.token_is_stale


def test_a_kubeconfig_with_a_token(tmp_path: Path) -> None:
    found = connections.from_kubeconfig(kubeconfig(tmp_path, {"token": "abc"}))
    assert (found.server, found.token, found.namespace) == ("https://127.0.0.1:1", "abc", "shop")


def test_a_kubeconfig_with_an_exec_plugin(tmp_path: Path) -> None:
    said = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made"}}'
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"print({said!r})"],
        "interactiveMode": "Never",
    }
    found = connections.from_kubeconfig(kubeconfig(tmp_path, {"exec": plugin}))
    assert found.token == "made"


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="There is no kubeconfig file"):
        connections.from_kubeconfig(tmp_path / "none")


def test_a_user_without_a_cluster_is_told_where_one_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(InvalidSpec, match="neither KUBECONFIG nor"):
        connections.from_kubeconfig()


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(InvalidSpec, match=r"anchorline\[kubeconfig\]"):
        connections.from_kubeconfig(kubeconfig(tmp_path, {}))


def test_tls() -> None:
    assert connections.Connection(server="http://x").ssl_context() is None
    checked = connections.Connection(server="https://x").ssl_context()
    assert checked is not None
    assert checked.verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(ClusterError, match="cannot read the certificates"):
        connections.Connection(server="https://x", ca_data=b"nonsense").ssl_context()
