"""A TLS server that takes up a changed certificate, and clients that handshake for ever, in Python.

`server FOLDER`, or `once|reread BUNDLE MILLISECONDS NAME:PORT...`, or `curl` and `gnutls` instead of `reread`: these
run the program of that name for each handshake.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

PATIENCE, LOOPS = 15.0, 4
BODY = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n"


class Server:
    """Serves what is in a mounted folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen, self._lock = folder, "", threading.Lock()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def run(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
            print(listener.getsockname()[1], flush=True)
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=self._answer, args=(plain,), daemon=True).start()

    def _current(self) -> ssl.SSLContext:
        with self._lock:
            version = os.path.realpath(self._folder / "..data")
            if version != self._seen:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(f"{version}/tls.crt", f"{version}/tls.key")
                self._context, self._seen = context, version
            return self._context

    def _answer(self, plain: socket.socket) -> None:
        plain.settimeout(PATIENCE)
        try:
            with plain, self._current().wrap_socket(plain, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(BODY)
        except OSError:
            return


def shake(name: str, port: int, context: ssl.SSLContext) -> str:
    """Why a handshake failed, "" when it did not."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            return "" if tls.recv(1) else "no answer"
    except OSError as error:
        return repr(error)


def run(program: str, bundle: str, name: str, port: int) -> str:
    """One handshake of curl, or of gnutls-cli."""
    curl = ["curl", "-sS", "--max-time", "15", "--cacert", bundle, "--resolve", f"{name}:{port}:127.0.0.1"]
    gnutls = ["timeout", "15", "gnutls-cli", f"--x509cafile={bundle}", f"--sni-hostname={name}"]
    gnutls += [f"--verify-hostname={name}", "-p", str(port), "127.0.0.1"]
    command = [*curl, f"https://{name}:{port}/"] if program == "curl" else gnutls
    request = f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()
    done = subprocess.run(command, input=request, capture_output=True, check=False)
    # gnutls-cli tells by its status also how the connection was closed; the handshake is what is asked for here.
    shaken = b"The certificate is trusted" in done.stdout and b"Handshake was completed" in done.stdout
    if done.returncode == 0 or (program == "gnutls" and shaken):
        return ""
    return f"{done.returncode} " + " ".join((done.stderr + done.stdout).decode().split())[-300:]


def client(role: str, bundle: str, pace: float, targets: list[str]) -> None:
    """Handshake for ever; what is read once is what Python itself reads: SSL_CERT_FILE."""
    once = ssl.create_default_context()
    for first in range(1, LOOPS):
        threading.Thread(target=loop, args=(role, bundle, pace, targets, once, first), daemon=True).start()
    loop(role, bundle, pace, targets, once, 0)


def loop(role: str, bundle: str, pace: float, targets: list[str], once: ssl.SSLContext, turn: int) -> None:
    """One of the loops of a client, which begins at another server than the others."""
    while True:
        name, port = targets[turn % len(targets)].split(":")
        if role in {"curl", "gnutls"}:
            wrong = run(role, bundle, name, int(port))
        else:
            context = once if role == "once" else ssl.create_default_context(cafile=bundle)
            wrong = shake(name, int(port), context)
        # In one piece: other loops print at the same time.
        sys.stdout.write(f"fail {name} {wrong}\n" if wrong else f"ok {name}\n")
        sys.stdout.flush()
        turn += 1
        time.sleep(pace / 1000)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        Server(Path(sys.argv[2])).run()
    client(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
