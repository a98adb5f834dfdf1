"""A client that shakes hands again and again and says how each one went, a line each.

`python -m anchorline.cli.demo.handshakes reread|once BUNDLE NAME:PORT...`: reads the bundle anew for each handshake, or
once at its start, as many runtimes do.
"""

import itertools
import socket
import ssl
import sys
import threading

PACE_SECONDS = 0.05
SECONDS = 10.0


def shake(context: ssl.SSLContext, name: str, port: int) -> str:
    """One handshake and one answer: "" when it went well, else what went wrong."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
            return "" if tls.recv(16).startswith(b"HTTP/1.1 200") else "no answer after the handshake"
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def main(mode: str, bundle: str, *targets: str) -> None:
    """Shake hands with each target in turn, until killed."""
    kept = ssl.create_default_context(cafile=bundle)
    pace = threading.Event()
    for target in itertools.cycle(targets):
        name, _, port = target.rpartition(":")
        context = kept if mode == "once" else ssl.create_default_context(cafile=bundle)
        wrong = shake(context, name, int(port))
        print(f"fail {name}: {wrong}" if wrong else "ok", flush=True)
        pace.wait(PACE_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
