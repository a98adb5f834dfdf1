"""Fills the folder of a new lab: certificates, keys, tokens, kubeconfigs, the audit policy."""

import datetime as dt
import secrets
from pathlib import Path

from anchorline.lab import certificates, components, kubeconfig
from anchorline.lab.folder import Folder

ADMIN = "anchorline-lab-admin"
ADMIN_GROUP = "system:masters"


def fill(folder: Folder, server: str, now: dt.datetime) -> None:
    """Write everything that the components read at their start; the API server will be at `server`."""
    folder.pki.mkdir()
    ca = certificates.authority(now)
    ca.write(folder.pki, "ca")
    certificates.serving(ca, now).write(folder.pki, "server")
    _service_account_keys(folder.pki)
    _tokens(folder)
    (folder.root / "audit-policy.yaml").write_text(components.AUDIT_POLICY)
    admin = certificates.client(ca, ADMIN, ADMIN_GROUP, now)
    manager = certificates.client(ca, "system:kube-controller-manager", None, now)
    admin.write(folder.pki, "admin")
    kubeconfig.write(folder.kubeconfig, kubeconfig.for_certificate(server, ca.pem, admin))
    kubeconfig.write(folder.root / "controller-manager.kubeconfig", kubeconfig.for_certificate(server, ca.pem, manager))


def _service_account_keys(pki: Path) -> None:
    key = certificates.signing_key()
    (pki / "service-account.key").write_bytes(certificates.private_pem(key))
    (pki / "service-account.pub").write_bytes(certificates.public_pem(key))


def _tokens(folder: Folder) -> None:
    token = secrets.token_urlsafe(32)
    folder.admin_token.write_text(token)
    (folder.pki / "tokens.csv").write_text(f'{token},{ADMIN},{ADMIN},"{ADMIN_GROUP}"\n')
