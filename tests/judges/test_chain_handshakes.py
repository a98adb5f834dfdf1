"""Real TLS handshakes on this machine: Python, curl, Go, Node and Java as clients of a server of our chains."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.judges import goprograms
from tests.support.certificates import a_bridge, a_chain

from anchorline import pki

pytestmark = pytest.mark.judge

NAME = "web.shop.svc"
NOW = datetime.fromtimestamp(int(time.time()), UTC)


@contextmanager
def serving(folder: Path, served: tuple[pki.Certificate, ...], key: pki.PrivateKey) -> Iterator[int]:
    """Serve the chain on a free port until the block ends; each connection gets `hello`."""
    (folder / "tls.crt").write_bytes(pki.encode_certificates(served))
    (folder / "tls.key").write_bytes(key.to_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, context), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        # Closing a socket does not wake an accept() on Linux; shutting it down does.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert not thread.is_alive()


def _answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            tls.sendall(b"hello")


def python_says(port: int, roots: pki.TrustBundle, name: str) -> bool:
    """Whether Python's strictest context shakes hands."""
    context = ssl.create_default_context(cadata=roots.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=name) as tls,
        ):
            return tls.recv(5) == b"hello"
    except ssl.SSLCertVerificationError:
        return False


NODE = """
const [port, roots, servername] = process.argv.slice(1);
const options = {host: "127.0.0.1", port, servername, ca: require("fs").readFileSync(roots)};
const socket = require("tls").connect(options, () => { console.log("ok"); socket.destroy(); });
socket.on("error", (error) => { console.log(error.code); });
"""


def node_says(port: int, roots: pki.TrustBundle, name: str, folder: Path) -> str:
    """What Node says: ok, or its error code."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (folder / "roots.pem").write_bytes(roots.pem)
    command = [node, "-e", NODE, str(port), str(folder / "roots.pem"), name]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def curl_says(port: int, roots: pki.TrustBundle, name: str, folder: Path) -> int:
    """The exit code of curl, 0 as soon as it has shaken hands: our server speaks no HTTP."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    (folder / "roots.pem").write_bytes(roots.pem)
    where = ["--cacert", str(folder / "roots.pem"), "--resolve", f"{name}:{port}:127.0.0.1", f"https://{name}:{port}/"]
    command = [curl, "-sS", "--noproxy", "*", "--http0.9", "--max-time", "20", "-w", "\\n%{time_appconnect}", *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return 0 if float(done.stdout.splitlines()[-1]) > 0 else done.returncode


GO = """
package main

import ("crypto/tls"; "crypto/x509"; "fmt"; "os")

// main shakes hands under each name: ok, or why not.
func main() {
    pem, err := os.ReadFile(os.Args[2])
    if err != nil { fmt.Println(err); os.Exit(1) }
    roots := x509.NewCertPool()
    roots.AppendCertsFromPEM(pem)
    for _, name := range os.Args[3:] {
        settings := &tls.Config{RootCAs: roots, ServerName: name}
        connection, err := tls.Dial("tcp", "127.0.0.1:" + os.Args[1], settings)
        if err != nil { fmt.Println("no", name, err); continue }
        connection.Close()
        fmt.Println("ok", name)
    }
}
"""


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client in Go."""
    return goprograms.built(GO, tmp_path_factory.mktemp("go"))


def go_says(client: Path, port: int, roots: pki.TrustBundle, folder: Path, *names: str) -> list[str]:
    """What Go says for each name: ok or no."""
    (folder / "roots.pem").write_bytes(roots.pem)
    command = [client, str(port), str(folder / "roots.pem"), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line[:2] for line in done.stdout.splitlines()]


JAVA = """
import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;

class Judge {
    public static void main(String[] args) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream file = new FileInputStream(args[1])) {
            for (var root : CertificateFactory.getInstance("X.509").generateCertificates(file))
                store.setCertificateEntry("root" + store.size(), root);
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        for (int at = 2; at < args.length; at++) System.out.println(says(context, Integer.parseInt(args[0]), args[at]));
    }

    static String says(SSLContext context, int port, String name) throws IOException {
        Socket plain = new Socket("127.0.0.1", port);
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, name, port, true)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            return "ok";
        } catch (SSLHandshakeException refused) {
            return "no";
        }
    }
}
"""


def java_says(port: int, roots: pki.TrustBundle, folder: Path, *names: str) -> list[str]:
    """What Java says for each name, in one process: ok or no."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("no Java Development Kit is installed")
    (folder / "roots.pem").write_bytes(roots.pem)
    (folder / "Judge.java").write_text(JAVA)
    command = [java, str(folder / "Judge.java"), str(port), str(folder / "roots.pem"), *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA", "Ed25519"])
def test_python_and_node_shake_hands_for_our_names_only(kind: str, tmp_path: Path) -> None:
    chain = a_chain(kind, now=NOW, dns=(NAME, "*.shop.svc"))
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert python_says(port, chain.roots, NAME)
        assert python_says(port, chain.roots, "any.shop.svc")
        assert not python_says(port, chain.roots, "pay.svc")
        assert node_says(port, chain.roots, NAME, tmp_path) == "ok"
        assert node_says(port, chain.roots, "pay.svc", tmp_path) == "ERR_TLS_CERT_ALTNAME_INVALID"


REFUSED_BY_CURL = 60


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA", "Ed25519"])
def test_curl_and_go_shake_hands_for_our_names_only(kind: str, go_client: Path, tmp_path: Path) -> None:
    chain = a_chain(kind, now=NOW, dns=(NAME, "*.shop.svc"))
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        said = [curl_says(port, chain.roots, name, tmp_path) for name in (NAME, "any.shop.svc", "pay.svc")]
        assert said == [0, 0, REFUSED_BY_CURL]
        assert go_says(go_client, port, chain.roots, tmp_path, NAME, "any.shop.svc", "pay.svc") == ["ok", "ok", "no"]


@pytest.mark.parametrize("trusted", ["old", "new", "both"])
def test_the_bridge_holds_before_curl_and_go(trusted: str, go_client: Path, tmp_path: Path) -> None:
    bridge = a_bridge(NOW)
    roots = {"old": (bridge.old,), "new": (bridge.new,), "both": (bridge.old, bridge.new)}[trusted]
    bundle = pki.TrustBundle.of(roots, now=NOW)
    with serving(tmp_path, bridge.served, bridge.leaf_key) as port:
        assert curl_says(port, bundle, NAME, tmp_path) == 0
        assert go_says(go_client, port, bundle, tmp_path, NAME) == ["ok"]


@pytest.mark.parametrize("trusted", ["old", "new", "both"])
def test_the_bridge_holds_before_python_and_node(trusted: str, tmp_path: Path) -> None:
    bridge = a_bridge(NOW)
    roots = {"old": (bridge.old,), "new": (bridge.new,), "both": (bridge.old, bridge.new)}[trusted]
    bundle = pki.TrustBundle.of(roots, now=NOW)
    with serving(tmp_path, bridge.served, bridge.leaf_key) as port:
        assert python_says(port, bundle, NAME)
        assert node_says(port, bundle, NAME, tmp_path) == "ok"


def test_a_stranger_is_refused(go_client: Path, tmp_path: Path) -> None:
    chain, bridge = a_chain(now=NOW), a_bridge(NOW)
    stranger = pki.TrustBundle.of([bridge.new], now=NOW)
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert not python_says(port, stranger, NAME)
        assert curl_says(port, stranger, NAME, tmp_path) == REFUSED_BY_CURL
        assert go_says(go_client, port, stranger, tmp_path, NAME) == ["no"]


@pytest.mark.parametrize("kind", ["P-256", "RSA", "Ed25519"])
def test_java_shakes_hands_for_our_names_only(kind: str, tmp_path: Path) -> None:
    chain = a_chain(kind, now=NOW, dns=(NAME, "*.shop.svc"))
    with serving(tmp_path, chain.served, chain.leaf_key) as port:
        assert java_says(port, chain.roots, tmp_path, NAME, "any.shop.svc", "pay.svc") == ["ok", "ok", "no"]


def test_the_bridge_holds_before_java(tmp_path: Path) -> None:
    bridge = a_bridge(NOW)
    with serving(tmp_path, bridge.served, bridge.leaf_key) as port:
        assert java_says(port, pki.TrustBundle.of([bridge.old], now=NOW), tmp_path, NAME) == ["ok"]
