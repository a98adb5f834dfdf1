"""An HTTPS server that reads its certificate from a Secret, anew for each connection, and answers with its page."""

import http.server
import os
import socketserver
import ssl
import sys

folder, port = sys.argv[1], int(sys.argv[2])
PAGE = b"<body style='background:#dfd; font: 40px sans-serif'><h1>Served with a certificate of Anchorline</h1></body>"


def loaded() -> ssl.SSLContext:
    """Certificate and key of one moment: the kubelet swaps the directory under `..data`, perhaps between two reads."""
    while True:
        place = os.path.realpath(f"{folder}/..data")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(f"{place}/tls.crt", f"{place}/tls.key")
        except FileNotFoundError:
            continue  # swapped, and the old one removed
        return context


class Page(http.server.BaseHTTPRequestHandler):
    def setup(self) -> None:
        self.request = loaded().wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


Server(("", port), Page).serve_forever()
