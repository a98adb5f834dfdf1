"""`anchorline rotate`: have a root replaced, because somebody wants it or because it must not be trusted any more."""

import argparse
import asyncio
from pathlib import Path

from anchorline.api import naming
from anchorline.api.privateca import RootSource
from anchorline.errors import ClusterError, InvalidSpec
from anchorline.kube.client import Client
from anchorline.kube.connection import discover
from anchorline.kube.resources import PRIVATE_CAS

NOT_FOUND = 404


def register(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `anchorline rotate` to the commands."""
    command = sub.add_parser("rotate", help="replace the root of a PrivateCA")
    command.add_argument("name", help="the PrivateCA")
    command.add_argument("--reason", required=True, help="why; it is recorded, and the same reason never rotates twice")
    command.add_argument(
        "--compromised", action="store_true", help="the key may be in wrong hands: trust in the old root ends soon"
    )
    command.add_argument(
        "--now",
        action="store_true",
        help="with --compromised: trust in the old root ends at once, handshakes will fail",
    )
    command.add_argument("--kubeconfig", type=Path, help="the cluster; default: service account, KUBECONFIG")
    command.set_defaults(func=_rotate)


def _rotate(arguments: argparse.Namespace) -> int:
    if arguments.now and not arguments.compromised:
        raise InvalidSpec("--now goes with --compromised: an ordinary rotation never cuts anybody off")
    if not arguments.reason.strip():
        raise InvalidSpec("--reason is empty; say why, for whoever reads the record later")
    print(asyncio.run(_asked(arguments)))
    return 0


async def _asked(arguments: argparse.Namespace) -> str:
    annotations = {naming.ROTATE_ANNOTATION: arguments.reason}
    if arguments.compromised:
        annotations = {
            naming.COMPROMISED_ANNOTATION: arguments.reason,
            naming.AT_ONCE_ANNOTATION: str(arguments.now).lower(),
        }
    async with Client(discover(arguments.kubeconfig)) as client:
        try:
            ca = await client.merge_patch(PRIVATE_CAS, arguments.name, "", {"metadata": {"annotations": annotations}})
        except ClusterError as error:
            if error.status == NOT_FOUND:
                raise InvalidSpec(f"PrivateCA {arguments.name} does not exist; see: kubectl get privateca") from error
            raise
    root = ca.get("spec", {}).get("root", {})
    brought = f" once it is in Secret {root.get('secretName')}" if root.get("source") == RootSource.SECRET else ""
    return _said(arguments, brought)


def _said(arguments: argparse.Namespace, brought: str) -> str:
    """`brought` tells where another root has to be put first, "" where it is made by itself."""
    follow = f"Follow it: kubectl get privateca {arguments.name} -o yaml, or: anchorline plan rotation {arguments.name}"
    if arguments.now:
        return (
            f"PrivateCA {arguments.name}: the old root leaves every trust store at once{brought}. Until they read their"
            " trust anew, these fail: every client that has only the old root, until its file is refreshed (about 90"
            " s); processes that read their trust once (Go, Node, gRPC, Java), until they restart; and clients that"
            f" have read anew, against servers that still serve the old chain.\n{follow}"
        )
    if arguments.compromised:
        return (
            f"PrivateCA {arguments.name}: a new root is {f'used{brought}' if brought else 'made now'}; the old one"
            f" leaves every trust store as soon as nothing is served under it any more.\n{follow}"
        )
    kept = "there is no bridge to it, see docs/rotation.md" if brought else "no handshake fails meanwhile"
    return f"PrivateCA {arguments.name} gets a new root{brought}; {kept}.\n{follow}"
