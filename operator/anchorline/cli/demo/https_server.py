"""A TLS server that reads key and chain anew for each connection, as a good server does when a kubelet changes them.

`python -m anchorline.cli.demo.https_server FOLDER`: prints its port; the name SERVICE.NAMESPACE.svc is served with the
pair in FOLDER/NAMESPACE/SERVICE-tls.
"""

import socket
import ssl
import sys
import threading
from contextlib import suppress
from pathlib import Path

SECONDS = 10.0
_REFS = "0123456789012345678901234567890123456789\trefs/heads/main\n"


def context_for(folder: Path, name: str) -> ssl.SSLContext:
    """What is served under a name now."""
    service, namespace, *_ = name.split(".")
    # The link is followed once: key and chain are then of one version, also while the link is changed.
    pair = (folder / namespace / f"{service}-tls").resolve(strict=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "tls.crt", pair / "tls.key")
    return context


def serve(listener: socket.socket, folder: Path) -> None:
    """Answer for ever, each connection in a thread of its own."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = context_for(folder, name or "")

    front.sni_callback = choose
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection, front), daemon=True).start()


def _answer(connection: socket.socket, front: ssl.SSLContext) -> None:
    with suppress(OSError), connection:
        connection.settimeout(SECONDS)
        with front.wrap_socket(connection, server_side=True) as tls:
            asked = tls.recv(4096).decode(errors="replace")
            # git asks for a list of branches; everybody else is greeted.
            body = _REFS if "/info/refs" in asked else "hello over TLS\n"
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            tls.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=128) as waiting:
        print(waiting.getsockname()[1], flush=True)
        serve(waiting, Path(sys.argv[1]))
