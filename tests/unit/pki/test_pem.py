"""PEM from outside: what openssl tolerates is tolerated, everything else is refused without an echo."""

import base64

import pytest
from tests.support.certificates import a_chain, ec_key

from anchorline import pki
from anchorline.errors import CorruptMaterial

CHAIN = a_chain()
LEAF, INTERMEDIATE = CHAIN.served
PEM = LEAF.pem
BODY = b"".join(PEM.splitlines()[1:-1])


def _block(der: bytes, label: bytes = b"CERTIFICATE") -> bytes:
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label, base64.b64encode(der), label)


@pytest.mark.parametrize(
    "data",
    [
        PEM,
        PEM.rstrip(),
        PEM.replace(b"\n", b"\r\n"),
        PEM.replace(b"\n", b"\n\n"),
        b"\xef\xbb\xbf" + PEM,
        b"# caf\xe9 comment\nSubject: CN=x\n" + PEM + b"trailing words",
        PEM.replace(b"-----\n", b"-----  \n"),
        _block(LEAF.der),
    ],
)
def test_what_openssl_tolerates_is_read_and_written_canonically(data: bytes) -> None:
    certificates = pki.decode_certificates(data)
    assert certificates == (LEAF,)
    assert pki.encode_certificates(certificates) == PEM


def test_order_and_repetition_are_kept() -> None:
    chain = (LEAF, INTERMEDIATE, LEAF)
    assert pki.decode_certificates(pki.encode_certificates(chain)) == chain
    assert pki.decode_certificates(b"no blocks here") == ()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (PEM + ec_key(1).to_pem(), "private key"),
        (PEM + ec_key(1).to_pem(pki.KeyEncoding.PKCS1), "private key"),
        (b"x-----BEGIN ENCRYPTED PRIVATE KEY-----", "private key"),
        (_block(LEAF.der, b"TRUSTED CERTIFICATE"), "not a CERTIFICATE"),
        (_block(LEAF.der, b"X509 CRL"), "not a CERTIFICATE"),
        (PEM.replace(b"-----\n", b"-----\nProc-Type: 4,ENCRYPTED\n", 1), "header"),
        (PEM[: len(PEM) // 2], "no END"),
        (PEM.rstrip() + PEM, "line of its own"),
        (b"  " + PEM, "line of its own"),
        (b"-----BEGIN CERTIFICATE-----\n" + PEM, "BEGIN without END"),
        (b"-----END CERTIFICATE-----\n" + PEM, "END without BEGIN"),
        (PEM.replace(BODY[:8], b"$$$$$$$$"), "not base64"),
        (PEM.replace(BODY[:8], "ä".encode() * 4), "not base64"),
        (_block(LEAF.der + b"\0"), "exactly one"),
        (_block(LEAF.der + LEAF.der), "exactly one"),
        (_block(b""), "exactly one"),
        (_block(LEAF.der[:-1]), "exactly one"),
    ],
)
def test_everything_else_is_refused_without_an_echo(data: bytes, rule: str) -> None:
    with pytest.raises(CorruptMaterial, match=rule) as caught:
        pki.decode_certificates(data)
    assert not any(line.decode("latin-1") in str(caught.value) for line in data.splitlines() if len(line) > 40)


def test_the_size_is_limited() -> None:
    assert pki.decode_certificates(PEM, limit=len(PEM)) == (LEAF,)
    with pytest.raises(CorruptMaterial, match="more than the 10 "):
        pki.decode_certificates(PEM, limit=10)
