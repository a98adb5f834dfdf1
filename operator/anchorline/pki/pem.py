"""PEM of certificates (RFC 7468): the only parser of untrusted PEM, and the one canonical way to write it."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterable

from anchorline.errors import CorruptMaterial
from anchorline.pki.certificate import Certificate

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Za-z0-9 #_/.]*)-----[ \t]*")
_CERTIFICATE = b"CERTIFICATE"
_BOM = b"\xef\xbb\xbf"


def decode_certificates(data: bytes, *, limit: int = 1 << 20) -> tuple[Certificate, ...]:
    """Read every CERTIFICATE block, in order; text outside the blocks is skipped, as openssl does (RFC 7468 2).

    Raises CorruptMaterial, which never quotes the input, for more than `limit` bytes, any other kind of block (above
    all a private key, P9), PEM headers, a half block, bad base64, and anything but one DER certificate in a block.
    An input without blocks gives the empty tuple: whether that is an error, the caller knows.
    """
    if len(data) > limit:
        raise CorruptMaterial(f"the PEM input has {len(data)} bytes, more than the {limit} that are read")
    if b"PRIVATE KEY-----" in data:
        raise CorruptMaterial(
            "the PEM input has a private key in it: give certificates only, and treat that key as leaked"
        )
    certificates: list[Certificate] = []
    body: list[bytes] | None = None
    for number, line in enumerate(data.removeprefix(_BOM).splitlines(), start=1):
        boundary = _BOUNDARY.fullmatch(line)
        if boundary is not None:
            body = _cross(boundary, body, certificates, number)
        elif b"-----BEGIN " in line or b"-----END " in line:
            raise CorruptMaterial(f"line {number} of the PEM input has a block boundary that is not a line of its own")
        elif body is not None:
            body.append(_body_line(line, number))
    if body is not None:
        raise CorruptMaterial("the last PEM block has no END line")
    return tuple(certificates)


def encode_certificates(certificates: Iterable[Certificate]) -> bytes:
    """Write certificates as canonical PEM: LF, 64 columns, nothing between the blocks, newline at the end."""
    return b"".join(certificate.pem for certificate in certificates)


def _cross(
    boundary: re.Match[bytes], body: list[bytes] | None, certificates: list[Certificate], line: int
) -> list[bytes] | None:
    """Open a block and return its empty body, or close the open one and return None."""
    opens = boundary[1] == b"BEGIN"
    if boundary[2] != _CERTIFICATE:
        raise CorruptMaterial(f"line {line} of the PEM input bounds a block that is not a CERTIFICATE")
    if opens == (body is not None):
        raise CorruptMaterial(f"line {line} of the PEM input is a BEGIN without END, or an END without BEGIN")
    if body is None:
        return []
    certificates.append(_decode(body, line))
    return None


def _body_line(line: bytes, number: int) -> bytes:
    if b":" in line:
        # RFC 1421 headers: RFC 7468 does not allow them, and they are how encrypted blocks are written.
        raise CorruptMaterial(f"line {number} of the PEM input is a header inside a CERTIFICATE block")
    return line.strip(b" \t")


def _decode(body: list[bytes], line: int) -> Certificate:
    try:
        return Certificate.from_der(a2b_base64(b"".join(body), strict_mode=True))
    except (Base64Error, ValueError):
        raise CorruptMaterial(f"the PEM block that ends at line {line} is not base64") from None
    except CorruptMaterial:
        raise CorruptMaterial(f"the PEM block that ends at line {line} is not exactly one X.509 certificate") from None
