"""A TLS server that takes up a changed certificate, and clients that handshake for ever, in Python.

`server FOLDER`, or `once|reread BUNDLE MILLISECONDS NAME:PORT...`, or `curl` instead of `reread`: it runs curl, each
time for one handshake with each server.
"""

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

PATIENCE, LOOPS = 60.0, 4
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


class Trust:
    """What a client trusts: read at the start, or anew when the folder that the bundle is in was swapped."""

    def __init__(self, bundle: Path, *, once: bool) -> None:
        # What is read once is what Python itself reads: SSL_CERT_FILE.
        self._context, self._seen = ssl.create_default_context(), ""
        self._bundle, self._once, self._lock = bundle, once, threading.Lock()

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        if self._once:
            return self._context
        with self._lock:
            version = os.path.realpath(self._bundle.parent / "..data")
            if version != self._seen:
                self._context = ssl.create_default_context(cafile=f"{version}/{self._bundle.name}")
                self._seen = version
            return self._context


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


def curl(bundle: str, targets: list[str]) -> list[tuple[str, str]]:
    """One process of curl, one handshake with each server: its name, and why it failed."""
    command = ["curl", "-sS", "--max-time", str(PATIENCE), "--cacert", bundle, "--no-sessionid"]
    command += ["-w", "%{urlnum} %{exitcode} %{errormsg}\\n"]
    for target in targets:
        command += ["--resolve", f"{target}:127.0.0.1", "-o", "/dev/null", f"https://{target}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = dict(enumerate(f"curl said nothing of it, and ended with {done.returncode}" for _ in targets))
    for line in done.stdout.splitlines():
        number, code, why = (*line.split(" ", 2), "")[:3]
        found[int(number)] = "" if code == "0" else f"{code} {why}"
    return [(targets[number].split(":")[0], why) for number, why in found.items()]


def client(role: str, bundle: str, pace: float, targets: list[str]) -> None:
    """Handshake for ever."""
    trust = Trust(Path(bundle), once=role == "once")
    for first in range(1, LOOPS):
        threading.Thread(target=loop, args=(role, bundle, pace, targets, trust, first), daemon=True).start()
    loop(role, bundle, pace, targets, trust, 0)


def loop(role: str, bundle: str, pace: float, targets: list[str], trust: Trust, turn: int) -> None:
    """One of the loops of a client, which begins at another server than the others."""
    while True:
        if role == "curl":
            found = curl(bundle, [*targets[turn % len(targets) :], *targets[: turn % len(targets)]])
        else:
            name, port = targets[turn % len(targets)].split(":")
            found = [(name, shake(name, int(port), trust.context()))]
        # In one piece: other loops print at the same time.
        sys.stdout.write("".join(f"fail {name} {wrong}\n" if wrong else f"ok {name}\n" for name, wrong in found))
        sys.stdout.flush()
        turn += 1
        time.sleep(pace / 1000)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        Server(Path(sys.argv[2])).run()
    client(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
