"""An HTTPS server that reads its certificate from a Secret, anew for each connection, and answers with its page."""

import http.server
import socketserver
import ssl
import sys

folder, port = sys.argv[1], int(sys.argv[2])
PAGE = b"<body style='background:#dfd; font: 40px sans-serif'><h1>Served with a certificate of Anchorline</h1></body>"


class Page(http.server.BaseHTTPRequestHandler):
    def setup(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
        self.request = context.wrap_socket(self.request, server_side=True)
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
