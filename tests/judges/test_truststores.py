"""The truststore formats judged by those who read them: keytool, Java and wget, set up as a pod with the opt-in is."""

import base64
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.judges.test_chain_handshakes import serving
from tests.support.certificates import DAY, a_bridge, a_chain, a_leaf, a_root, an_intermediate, ec_key

from anchorline import pki
from anchorline.api import naming
from anchorline.kube.public_roots import public_roots
from anchorline.kube.trust_files import trust_files
from anchorline.plan.injection import Injection, injection

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


def mounted(folder: Path, private: pki.TrustBundle) -> dict[str, str]:
    """Put the store's files into a folder; the variables that a pod gets, as if that were where they are mounted."""
    files = trust_files(private.pem, public_roots().pem, naming.TRUST_FORMATS)
    content = {name: text.replace(naming.TRUST_MOUNT, str(folder)).encode() for name, text in files.data.items()}
    content |= {name: base64.b64decode(text) for name, text in files.binary.items()}
    for name, each in content.items():
        (folder / name).write_bytes(each)
    env = [{"name": "JAVA_TOOL_OPTIONS", "value": "-Dmine=kept"}]
    pod = {"metadata": {}, "spec": {"containers": [{"name": "main", "env": env}]}}
    operations = injection(pod, spec=Injection(formats=naming.TRUST_FORMATS))
    values = [each["value"] for each in operations if each["path"].endswith("/env/-")]
    found = {each["name"]: each["value"] for each in values}
    found["JAVA_TOOL_OPTIONS"] = next(each["value"] for each in operations if each["op"] == "replace")
    return {name: value.replace(naming.TRUST_MOUNT, str(folder)) for name, value in found.items()}


def wget_says(port: int, **variables: str) -> tuple[int, bytes]:
    """Exit status and output of wget, which is GnuTLS and obeys no variable but WGETRC."""
    command = [tool("wget"), "-q", "-O-", "--tries=1", "--timeout=20", f"https://localhost:{port}/"]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **variables}, capture_output=True, timeout=60)
    return done.returncode, done.stdout


def test_wget_trusts_it_by_the_variable_alone(tmp_path: Path) -> None:
    root = a_root(not_before=NOW - DAY, not_after=NOW + DAY)
    between = an_intermediate(root, permitted=("localhost",), not_before=NOW - DAY, not_after=NOW + DAY)
    leaf = a_leaf(between, ec_key(3), dns=("localhost",), not_before=NOW - DAY, not_after=NOW + DAY)
    variables = mounted(tmp_path, pki.TrustBundle([root.certificate]))
    with serving(tmp_path, (leaf, between.certificate), ec_key(3)) as port:
        # An answer without headers is HTTP/0.9 to wget, and its sudden end a network failure (status 4), once trusted;
        # 5 is the status for a server that cannot be verified.
        assert wget_says(port, WGETRC=variables["WGETRC"])[1] == b"hello"
        others = {name: value for name, value in variables.items() if name != "WGETRC"}
        assert wget_says(port, **others) == (5, b"")


def test_java_trusts_by_what_a_pod_is_injected_with(tmp_path: Path) -> None:
    chain = a_chain(now=NOW)
    variables = mounted(tmp_path, chain.roots)
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert java_says(tmp_path, port, variables["JAVA_TOOL_OPTIONS"]) == "ok kept"
