"""A Java truststore (JKS) whose bytes depend on its roots alone, and which Java reads without a password."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from struct import pack
from typing import Final

from anchorline.pki.certificate import Certificate

# It guards nothing: what is inside is public. It is the JDK's own default, which tools try when they are told none.
_PASSWORD: Final = "changeit"  # noqa: S105
_MAGIC: Final = 0xFEEDFEED
_VERSION: Final = 2
_TRUSTED_CERTIFICATE: Final = 2
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def java_keystore(roots: Iterable[Certificate]) -> bytes:
    """Write a JKS (sun.security.provider.JavaKeyStore, version 2) of trusted certificates.

    The same roots, in any order and any number of times, give the same bytes: entries are sorted by their alias (the
    first 16 digits of the SHA-256), and dated with the certificate's own notBefore. Java 11 to 25 read it with and
    without the password (`facts/trust-in-clients.md` §5).
    """
    entries = {root.short_fingerprint: root for root in roots}
    content = pack(">III", _MAGIC, _VERSION, len(entries))
    content += b"".join(_entry(alias, entries[alias]) for alias in sorted(entries))
    return content + _seal(content)


def _entry(alias: str, root: Certificate) -> bytes:
    created = (root.not_before - _EPOCH) // _MILLISECOND
    der = root.der
    head = pack(">I", _TRUSTED_CERTIFICATE) + _text(alias) + pack(">q", created)
    return head + _text("X.509") + pack(">I", len(der)) + der


def _text(text: str) -> bytes:
    """java.io.DataOutput.writeUTF, for ASCII."""
    return pack(">H", len(text)) + text.encode("ascii")


def _seal(content: bytes) -> bytes:
    """Compute the keyed digest at the end; Java looks at it only when it is given a password."""
    keyed = _PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + content
    return sha1(keyed, usedforsecurity=False).digest()
