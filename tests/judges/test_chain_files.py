"""Chains as files before programs that we did not write: openssl, GnuTLS's certtool, pkilint, and Go's crypto/x509."""

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.judges import goprograms
from tests.support.certificates import Chain, a_bridge, a_chain

from anchorline import pki

pytestmark = pytest.mark.judge

NAME = "web.shop.svc"
KINDS = ["P-256", "P-384", "RSA", "Ed25519"]
# certtool 3.7 has no option for the time, so these chains are made for today.
NOW = datetime.fromtimestamp(int(time.time()), UTC)
EPOCH = str(int(NOW.timestamp()))
# pkilint takes a single label, a wildcard and an underscore for bad names; nothing else may be found.
DOCUMENTED_FINDING = "pkix.invalid_domain_name_syntax"


def program(name: str) -> str:
    """Find a program, or skip with its name."""
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a judge to its end."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def write(folder: Path, served: tuple[pki.Certificate, ...], roots: pki.TrustBundle) -> None:
    """Lay a chain out as leaf.pem, others.pem, chain.pem and roots.pem."""
    (folder / "leaf.pem").write_bytes(served[0].pem)
    (folder / "others.pem").write_bytes(pki.encode_certificates(served[1:]))
    (folder / "chain.pem").write_bytes(pki.encode_certificates(served))
    (folder / "roots.pem").write_bytes(roots.pem)


def openssl(folder: Path, *name: str) -> subprocess.CompletedProcess[str]:
    """Verify as strictly as openssl can, at the time of the test data."""
    strict = ("-x509_strict", "-purpose", "sslserver", "-attime", EPOCH)
    files = ("-CAfile", "roots.pem", "-untrusted", "others.pem")
    return run(
        program("openssl"), "verify", "-no-CApath", "-no-CAstore", *strict, *name, *files, "leaf.pem", cwd=folder
    )


def certtool(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Verify with GnuTLS."""
    return run(
        program("certtool"),
        "--verify",
        "--load-ca-certificate=roots.pem",
        f"--verify-hostname={name}",
        "--verify-purpose=1.3.6.1.5.5.7.3.1",
        "--infile=chain.pem",
        cwd=folder,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [False, True], ids=["leaf", "all"])
def test_openssl_accepts_the_chain_for_its_names_only(kind: str, whole: bool, tmp_path: Path) -> None:
    chain = a_chain(kind if whole else "P-256", kind, now=NOW, dns=(NAME, "*.shop.svc"), ips=("10.0.0.1",))
    write(tmp_path, chain.served, chain.roots)
    for name in (("-verify_hostname", NAME), ("-verify_hostname", "any.shop.svc"), ("-verify_ip", "10.0.0.1")):
        verdict = openssl(tmp_path, *name)
        assert verdict.returncode == 0, verdict.stderr
    assert openssl(tmp_path, "-verify_hostname", "pay.svc").returncode != 0


@pytest.mark.parametrize("kind", KINDS)
def test_gnutls_accepts_the_chain_for_its_names_only(kind: str, tmp_path: Path) -> None:
    chain = a_chain(kind, now=NOW, dns=(NAME, "*.shop.svc"))
    write(tmp_path, chain.served, chain.roots)
    for name in (NAME, "any.shop.svc"):
        verdict = certtool(tmp_path, name)
        assert verdict.returncode == 0, verdict.stdout
    assert certtool(tmp_path, "pay.svc").returncode != 0


@pytest.mark.parametrize("trusted", ["old", "new", "both"])
def test_the_bridge_holds_before_openssl_and_gnutls(trusted: str, tmp_path: Path) -> None:
    """Leaf, new intermediate, new root signed by the old one: the only chain for pods that have not read again."""
    bridge = a_bridge(NOW)
    roots = {"old": (bridge.old,), "new": (bridge.new,), "both": (bridge.old, bridge.new)}[trusted]
    write(tmp_path, bridge.served, pki.TrustBundle.of(roots, now=NOW))
    verdict = openssl(tmp_path, "-verify_hostname", NAME)
    assert verdict.returncode == 0, verdict.stderr
    verdict = certtool(tmp_path, NAME)
    assert verdict.returncode == 0, verdict.stdout


def test_without_the_bridge_the_old_root_is_not_enough(tmp_path: Path) -> None:
    bridge = a_bridge(NOW)
    write(tmp_path, bridge.served[:2], pki.TrustBundle.of([bridge.old], now=NOW))
    assert openssl(tmp_path, "-verify_hostname", NAME).returncode != 0


def _findings(output: str) -> set[str]:
    return {word.strip(":,()") for word in output.split() if word.startswith(("pkix.", "itu.", "pkilint."))}


@pytest.mark.parametrize("kind", KINDS)
def test_pkilint_finds_nothing_but_what_is_documented(kind: str, tmp_path: Path) -> None:
    """The single label `svc` in the constraints is the one finding; see facts/trust-in-clients.md §2."""
    lint = program("lint_pkix_cert")
    chain = a_chain(kind, now=NOW, common_name="web")
    subjects = {"root": chain.root.certificate, "intermediate": chain.intermediate.certificate, "leaf": chain.leaf}
    for name, certificate in subjects.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.pem)
        verdict = run(lint, "lint", "-s", "WARNING", f"{name}.pem", cwd=tmp_path)
        allowed = {DOCUMENTED_FINDING} if name == "intermediate" else set()
        assert "Traceback" not in verdict.stderr
        assert _findings(verdict.stdout) <= allowed, verdict.stdout
        assert verdict.returncode <= len(allowed), verdict.stdout


def test_pkilint_finds_nothing_between_issuer_and_subject(tmp_path: Path) -> None:
    lint = program("lint_pkix_signer_signee_cert_chain")
    bridge = a_bridge(NOW)
    pairs = ((bridge.new, bridge.intermediate), (bridge.intermediate, bridge.leaf), (bridge.old, bridge.cross))
    for issuer, subject in pairs:
        (tmp_path / "issuer.pem").write_bytes(issuer.pem)
        (tmp_path / "subject.pem").write_bytes(subject.pem)
        verdict = run(lint, "lint", "-s", "WARNING", "issuer.pem", "subject.pem", cwd=tmp_path)
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.fixture(scope="module")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's verifier, built once."""
    return goprograms.built(goprograms.VERIFIER, tmp_path_factory.mktemp("go"))


def _go_verdicts(judge: Path, folder: Path, *names: str) -> list[str]:
    return [line[:2] for line in run(str(judge), EPOCH, *names, cwd=folder).stdout.splitlines()]


@pytest.mark.parametrize("kind", [*KINDS, "P-521"])
def test_go_accepts_the_chain_for_its_names_only(kind: str, go_judge: Path, tmp_path: Path) -> None:
    chain: Chain = a_chain(kind, now=NOW, dns=(NAME, "*.shop.svc"), ips=("10.0.0.1",))
    write(tmp_path, chain.served, chain.roots)
    assert _go_verdicts(go_judge, tmp_path, NAME, "any.shop.svc", "10.0.0.1", "pay.svc") == ["ok", "ok", "ok", "no"]


@pytest.mark.parametrize("trusted", ["old", "new", "both"])
def test_the_bridge_holds_before_go(trusted: str, go_judge: Path, tmp_path: Path) -> None:
    bridge = a_bridge(NOW)
    roots = {"old": (bridge.old,), "new": (bridge.new,), "both": (bridge.old, bridge.new)}[trusted]
    write(tmp_path, bridge.served, pki.TrustBundle.of(roots, now=NOW))
    assert _go_verdicts(go_judge, tmp_path, NAME) == ["ok"]
