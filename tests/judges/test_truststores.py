"""The truststore formats judged by those who read them: keytool, Java and wget, set up as a pod with the opt-in is."""

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.judges.test_chain_handshakes import serving
from tests.support.certificates import a_bridge, a_chain

from anchorline import pki
from anchorline.kube.public_roots import public_roots

pytestmark = pytest.mark.judge

NAME = "web.shop.svc"
NOW = datetime.fromtimestamp(int(time.time()), UTC)


def tool(name: str) -> str:
    """A program that we did not write."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def truststore(folder: Path, *roots: pki.Certificate) -> Path:
    path = folder / "truststore.jks"
    path.write_bytes(pki.java_keystore(roots))
    return path


def listed(store: Path, *more: str) -> str:
    command = [tool("keytool"), "-J-Duser.language=en", "-list", "-keystore", str(store), *more]
    # Without -storepass keytool asks for one: the answer is an empty line.
    return subprocess.run(command, input="\n", capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("password", [("-storepass", "changeit"), ()], ids=["with the password", "without"])
def test_keytool_lists_every_private_and_public_root(password: tuple[str, ...], tmp_path: Path) -> None:
    public = pki.decode_certificates(public_roots().pem)
    roots = (*a_chain(now=NOW).roots, *public)
    said = listed(truststore(tmp_path, *roots), *password)
    assert "Keystore type: JKS" in said
    assert f"Your keystore contains {len(roots)} entries" in said
    assert said.count("trustedCertEntry") == len(roots)
    for root in roots:
        digits = root.fingerprint.upper()
        assert ":".join(digits[at : at + 2] for at in range(0, 64, 2)) in said


def test_keytool_refuses_one_that_was_tampered_with(tmp_path: Path) -> None:
    path = truststore(tmp_path, *a_chain(now=NOW).roots)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(subprocess.CalledProcessError):
        listed(path, "-storepass", "changeit")


JAVA = """
import java.net.*; import javax.net.ssl.*;

class Client {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        Socket plain = new Socket("127.0.0.1", port);
        SSLSocketFactory usual = (SSLSocketFactory) SSLSocketFactory.getDefault();
        try (SSLSocket socket = (SSLSocket) usual.createSocket(plain, args[1], port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            System.out.println("ok " + System.getProperty("mine"));
        } catch (SSLException refused) {
            System.out.println("no " + System.getProperty("mine"));
        }
    }
}
"""


def java_says(folder: Path, port: int, options: str) -> str:
    """What a program says that knows nothing of trust, with only this variable set."""
    tool("javac")
    (folder / "Client.java").write_text(JAVA)
    command = [tool("java"), str(folder / "Client.java"), str(port), NAME]
    environment = {"PATH": os.environ["PATH"], "JAVA_TOOL_OPTIONS": options}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def test_java_trusts_it_by_the_variable_alone_and_keeps_the_options_that_were_there(tmp_path: Path) -> None:
    chain = a_chain(now=NOW)
    store = truststore(tmp_path, *chain.roots, *pki.decode_certificates(public_roots().pem))
    options = f"-Dmine=kept -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStoreType=JKS"
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert java_says(tmp_path, port, options) == "ok kept"
        assert java_says(tmp_path, port, "-Dmine=kept") == "no kept"


def test_java_refuses_a_stranger(tmp_path: Path) -> None:
    chain, stranger = a_chain(now=NOW), truststore(tmp_path, a_bridge(NOW).new)
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert java_says(tmp_path, port, f"-Djavax.net.ssl.trustStore={stranger}") == "no null"
