"""A client of the GnuTLS library, for ever: `once|reread BUNDLE MILLISECONDS NAME:PORT...`."""

import ctypes
import os
import socket
import sys
import threading
import time
from pathlib import Path

PATIENCE_MS, LOOPS = 60000, 4
CLIENT, CREDENTIALS_CERTIFICATE, FORMAT_PEM, NAME_DNS = 2, 1, 1, 1
Handle = ctypes.c_void_p
lib = ctypes.CDLL("libgnutls.so.30")
lib.gnutls_strerror.restype = ctypes.c_char_p


def checked(code: int, what: str) -> int:
    """Raise for an error of the library."""
    if code < 0:
        raise OSError(f"{what}: {lib.gnutls_strerror(code).decode()}")
    return code


def trusted(bundle: str) -> Handle:
    """Credentials with the roots of a file, read now."""
    credentials = Handle()
    checked(lib.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)), "credentials")
    loaded = lib.gnutls_certificate_set_x509_trust_file(credentials, bundle.encode(), FORMAT_PEM)
    if checked(loaded, "trust file") == 0:
        raise OSError(f"no roots in {bundle}")
    return credentials


class Trust:
    """Credentials, read at the start, or anew when the folder that the bundle is in was swapped."""

    def __init__(self, bundle: Path, *, once: bool) -> None:
        self._bundle, self._once, self._lock = bundle, once, threading.Lock()
        self._read(os.path.realpath(bundle.parent / "..data"))

    def _read(self, version: str) -> None:
        # The old ones are never freed: a loop may be using them.
        self._credentials, self._seen = trusted(f"{version}/{self._bundle.name}"), version

    def credentials(self) -> Handle:
        """For the next handshake. Raises OSError."""
        with self._lock:
            if not self._once and (version := os.path.realpath(self._bundle.parent / "..data")) != self._seen:
                self._read(version)
            return self._credentials


def shake(name: str, port: int, credentials: Handle) -> None:
    """One whole handshake, verified by the library. Raises OSError."""
    session, host = Handle(), name.encode()
    checked(lib.gnutls_init(ctypes.byref(session), CLIENT), "init")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_MS / 1000) as plain:
            plain.setblocking(True)
            lib.gnutls_set_default_priority(session)
            lib.gnutls_server_name_set(session, NAME_DNS, host, ctypes.c_size_t(len(host)))
            lib.gnutls_credentials_set(session, CREDENTIALS_CERTIFICATE, credentials)
            lib.gnutls_session_set_verify_cert(session, host, 0)
            lib.gnutls_transport_set_int2(session, plain.fileno(), plain.fileno())
            lib.gnutls_handshake_set_timeout(session, PATIENCE_MS)
            checked(lib.gnutls_handshake(session), "handshake")
            ask(session, name)
    finally:
        lib.gnutls_deinit(session)


def ask(session: Handle, name: str) -> None:
    """Send a request and wait for the first byte; session tickets in between are read over."""
    request, answer = f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode(), ctypes.create_string_buffer(64)
    checked(lib.gnutls_record_send(session, request, ctypes.c_size_t(len(request))), "send")
    again = -28
    got = again
    while got == again:
        got = lib.gnutls_record_recv(session, answer, ctypes.c_size_t(64))
    if checked(got, "receive") == 0:
        raise OSError("no answer")


def main(role: str, bundle: str, pace: float, targets: list[str]) -> None:
    """Handshake for ever."""
    trust = Trust(Path(bundle), once=role == "once")
    for first in range(1, LOOPS):
        threading.Thread(target=loop, args=(trust, pace, targets, first), daemon=True).start()
    loop(trust, pace, targets, 0)


def loop(trust: Trust, pace: float, targets: list[str], turn: int) -> None:
    """One of the loops, which begins at another server than the others."""
    while True:
        name, port = targets[turn % len(targets)].split(":")
        try:
            shake(name, int(port), trust.credentials())
            sys.stdout.write(f"ok {name}\n")
        except OSError as error:
            sys.stdout.write(f"fail {name} {error}\n")
        sys.stdout.flush()
        turn += 1
        time.sleep(pace / 1000)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
