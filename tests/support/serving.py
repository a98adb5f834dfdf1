"""What a webhook serves with, and who trusts it: a CA with its certificate for 127.0.0.1, made anew, and contexts."""

import ssl
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from anchorline import pki
from anchorline.kube import entropy
from anchorline.shell.webhook import rotation, server

NOW = datetime.now(UTC)  # noqa: TID251 - clients of these sockets read the real clock
DICE = rotation.Dice(
    key=lambda: pki.PrivateKey.wrap(ec.generate_private_key(ec.SECP256R1())), serial=entropy.new_serial
)
LOOPBACK = rotation.alternative_names(["127.0.0.1"])


def material() -> rotation.Material:
    """A CA and its serving certificate."""
    return rotation.advanced(rotation.Step.MAKE, None, (), NOW, names=LOOPBACK, lives=rotation.DEFAULT_LIVES, dice=DICE)


def trusting(*materials: rotation.Material) -> ssl.SSLContext:
    """A client's context that trusts these CAs only."""
    pem = b"".join(each.current.certificate.pem for each in materials)
    context = ssl.create_default_context(cadata=pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def use(context: ssl.SSLContext, new: rotation.Material) -> None:
    """Serve this from now on."""
    server.load(context, new.serving.certificate.pem, new.serving.key.to_pem())
