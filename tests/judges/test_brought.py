"""What we say of a CA that somebody brings is what openssl and Go say of a server's certificate under it."""

import subprocess
import time
from pathlib import Path

import pytest
from tests.judges import goprograms

from anchorline import pki
from anchorline.plan import policy

pytestmark = pytest.mark.judge

CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
SERVER = f"{IDENTIFIERS}subjectAltName=DNS:web.shop.svc\nextendedKeyUsage=serverAuth\n"
P256 = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
KEYS = {
    "P-256": P256,
    "P-384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "P-521": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
    "RSA 2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "Ed25519": ("-algorithm", "ED25519"),
    "RSA 1024": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
    "RSA-PSS": ("-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
    "secp256k1": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"),
    "brainpool": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"),
    "explicit": (*P256, "-pkeyopt", "ec_param_enc:explicit"),
}
GOOD = ("P-256", "P-384", "P-521", "RSA 2048", "Ed25519")


def openssl(folder: Path, *arguments: str, check: bool = True) -> bool:
    """Run openssl; whether it was content."""
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done.returncode == 0


def root(folder: Path, *key: str, extensions: str = CA) -> pki.Certificate:
    """roots.pem, with a new key unless there is one in root.key."""
    if key:
        openssl(folder, "genpkey", *key, "-out", "root.key")
    more = (f"-addext={line}" for line in extensions.splitlines())
    openssl(folder, "req", "-x509", "-new", "-key", "root.key", "-subj=/CN=Root", "-days=9", "-out=roots.pem", *more)
    return read(folder, "roots.pem")


def signed(folder: Path, name: str, extensions: str, issuer: tuple[str, str], *more: str) -> pki.Certificate:
    """NAME.pem and its key, under the issuer's certificate and key."""
    certificate, key = issuer
    (folder / "extensions").write_text(extensions)
    openssl(folder, "genpkey", *P256, "-out", f"{name}.key")
    openssl(folder, "req", "-new", "-key", f"{name}.key", f"-subj=/CN={name}", "-out=request")
    by = ("-CA", certificate, "-CAkey", key, "-CAcreateserial", "-extfile", "extensions", "-days", "5")
    openssl(folder, "x509", "-req", "-in", "request", "-out", f"{name}.pem", *by, *more)
    return read(folder, f"{name}.pem")


def read(folder: Path, name: str) -> pki.Certificate:
    (found,) = pki.decode_certificates((folder / name).read_bytes())
    return found


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's verifier, built once."""
    return goprograms.built(goprograms.VERIFIER, tmp_path_factory.mktemp("go"))


def both_accept(folder: Path, go: Path) -> bool:
    """Whether openssl, at the level that Debian has, and Go accept leaf.pem as a server's."""
    files = ("-CAfile", "roots.pem", "-no-CApath", "-no-CAstore", "-untrusted", "others.pem", "leaf.pem")
    one = openssl(folder, "verify", "-auth_level", "2", "-purpose", "sslserver", *files, check=False)
    done = subprocess.run([go, str(int(time.time())), "web.shop.svc"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return one and done.stdout == "ok web.shop.svc\n"


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_has_a_fault_when_one_of_them_refuses_it(kind: str, go: Path, tmp_path: Path) -> None:
    brought = root(tmp_path, *KEYS[kind])
    signed(tmp_path, "leaf", SERVER, ("roots.pem", "root.key"))
    (tmp_path / "others.pem").write_bytes(brought.pem)
    accepted = both_accept(tmp_path, go)
    assert accepted is (kind in GOOD)
    assert (brought.key_fault == "") is accepted


def test_a_compressed_point_is_a_fault(go: Path, tmp_path: Path) -> None:
    openssl(tmp_path, "genpkey", *P256, "-out", "plain.key")
    openssl(tmp_path, "ec", "-in", "plain.key", "-conv_form", "compressed", "-out", "root.key")
    brought = root(tmp_path)
    signed(tmp_path, "leaf", SERVER, ("roots.pem", "root.key"))
    (tmp_path / "others.pem").write_bytes(brought.pem)
    assert not both_accept(tmp_path, go)
    assert brought.key_fault


@pytest.mark.parametrize("digest", ["sha256", "sha1", "md5"])
def test_a_signature_is_broken_when_one_of_them_refuses_it(digest: str, go: Path, tmp_path: Path) -> None:
    root(tmp_path, *KEYS["RSA 2048"])
    brought = signed(tmp_path, "others", CA + IDENTIFIERS, ("roots.pem", "root.key"), f"-{digest}")
    signed(tmp_path, "leaf", SERVER, ("others.pem", "others.key"))
    accepted = both_accept(tmp_path, go)
    assert accepted is (digest == "sha256")
    assert brought.has_broken_signature is not accepted


LIMITS = ("", "serverAuth", "clientAuth", "serverAuth,clientAuth", "clientAuth,anyExtendedKeyUsage", "codeSigning")


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("limited", ["root", "intermediate"])
def test_a_usage_is_refused_when_one_of_them_refuses_it(limited: str, limit: str, go: Path, tmp_path: Path) -> None:
    purposes = f"extendedKeyUsage={limit}\n" if limit else ""
    above = root(tmp_path, *P256, extensions=CA + (purposes if limited == "root" else ""))
    extensions = CA + IDENTIFIERS + (purposes if limited == "intermediate" else "")
    signer = signed(tmp_path, "others", extensions, ("roots.pem", "root.key"))
    leaf = signed(tmp_path, "leaf", SERVER, ("others.pem", "others.key"))
    accepted = both_accept(tmp_path, go)
    assert accepted is (not limit or "serverAuth" in limit)
    assert (policy.outside_constraints(leaf.names, "", ("server auth",), signer, (above,)) == ()) is accepted
