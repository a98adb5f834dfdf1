"""The TLS stacks of the traffic: programs of other languages, and commands that are one handshake each."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

NODE_SERVER = """
const fs = require("fs"), tls = require("tls"), path = require("path");
const folder = process.argv[1];
const pair = (name) => {
  const [service, namespace] = name.split(".");
  const where = fs.realpathSync(path.join(folder, namespace, service + "-tls"));
  const read = (file) => fs.readFileSync(path.join(where, file));
  return tls.createSecureContext({cert: read("tls.crt"), key: read("tls.key")});
};
const choose = (name, done) => { try { done(null, pair(name)); } catch (error) { done(error); } };
const body = "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n";
const server = tls.createServer({SNICallback: choose}, (socket) => {
  socket.on("error", () => {}); socket.once("data", () => socket.end(body)); socket.on("end", () => socket.end());
});
server.on("tlsClientError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""
NODE_CLIENT = """
const tls = require("tls");
const targets = process.argv.slice(1);
const shake = (at) => {
  const [servername, port] = targets[at % targets.length].split(":");
  let said = false;
  const say = (line) => { if (!said) { said = true; console.log(line); setTimeout(shake, 50, at + 1); } };
  const ask = () => socket.write("GET / HTTP/1.1\\r\\n\\r\\n");
  const socket = tls.connect({host: "127.0.0.1", port, servername}, ask);
  socket.once("data", () => { say("ok"); socket.destroy(); });
  socket.on("error", (error) => say(`fail ${servername}: ${error.code} ${error.message}`));
  socket.on("close", () => say(`fail ${servername}: closed without an answer`));
  socket.setTimeout(10000, () => socket.destroy(new Error("no answer within 10 s")));
};
shake(0);
"""


@dataclass(frozen=True, slots=True)
class Target:
    """One server: the name that is asked for, on a port of loopback."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def node() -> str:
    """Path of Node, "" when there is none."""
    return shutil.which("node") or ""


def once(stack: str, bundle: Path, targets: list[Target]) -> tuple[list[str], dict[str, str]]:
    """A client that reads its trust once and lives long: command and variables."""
    names = [str(each) for each in targets]
    if stack == "node":
        return [node(), "-e", NODE_CLIENT, *names], {"NODE_EXTRA_CA_CERTS": str(bundle)}
    return [sys.executable, "-m", "anchorline.cli.demo.handshakes", "once", str(bundle), *names], {}


def rereading(bundle: Path, targets: list[Target]) -> list[str]:
    """A client that lives long and reads its trust for each handshake."""
    return [
        *(sys.executable, "-m", "anchorline.cli.demo.handshakes", "reread", str(bundle)),
        *(str(each) for each in targets),
    ]


def single(stack: str, bundle: Path, target: Target) -> tuple[list[str], dict[str, str]]:
    """A program that makes one handshake and ends: command and variables. 0 means that it trusted the server."""
    where = f"127.0.0.1:{target.port}"
    if stack == "curl":
        pinned = f"{target.name}:{target.port}:127.0.0.1"
        url = f"https://{target}/"
        return ["curl", "-sS", "--max-time", "10", "--resolve", pinned, url], {"CURL_CA_BUNDLE": str(bundle)}
    if stack == "openssl":
        names = ("-servername", target.name, "-verify_hostname", target.name)
        command = ["openssl", "s_client", "-brief", "-verify_return_error", "-connect", where, *names]
        return command, {"SSL_CERT_FILE": str(bundle)}
    names = ("--sni-hostname", target.name, "--verify-hostname", target.name)
    return ["gnutls-cli", "--x509cafile", str(bundle), "--port", str(target.port), *names, "127.0.0.1"], {}


def singles() -> list[str]:
    """Those programs that are on this machine."""
    programs = {"curl": "curl", "openssl": "openssl", "gnutls": "gnutls-cli"}
    return [stack for stack, program in programs.items() if shutil.which(program)]
