"""The API server as a kubeconfig names it: TLS settings, headers, and plain GET requests."""

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

Object = dict[str, Any]
ANSWER_SECONDS = 330.0


class Unreachable(Exception):
    """The API server did not answer, or refused; the text says how."""


@dataclass(frozen=True)
class Access:
    """One API server and who we are to it."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    headers: dict[str, str]

    @contextmanager
    def get(self, path: str, query: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Send a GET; the answer is read inside the block. Raises Unreachable, and OSError while it is read."""
        connection = self._connection()
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers=self.headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise Unreachable(f"{answer.status} {answer.read(300).decode(errors='replace')}")
            yield answer
        except http.client.HTTPException as error:
            raise Unreachable(repr(error)) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS)
        return http.client.HTTPSConnection(self.host, self.port, timeout=ANSWER_SECONDS, context=self.tls)

    def read(self, path: str, query: dict[str, str]) -> Object:
        """Read one JSON answer."""
        with self.get(path, query) as answer:
            found: Object = json.load(answer)
            return found


def from_kubeconfig(path: Path) -> Access:
    """Read a kubeconfig with certificates or a token in it; exec plugins are not run."""
    config = yaml.safe_load(path.read_text())
    named = next(each for each in config["contexts"] if each["name"] == config["current-context"])["context"]
    cluster = next(each for each in config["clusters"] if each["name"] == named["cluster"])["cluster"]
    user = next(each for each in config["users"] if each["name"] == named["user"])["user"]
    if not {"token", "tokenFile", "client-certificate", "client-certificate-data"} & set(user):
        raise Unreachable(f"the user of {path} has neither a certificate nor a token; make one that has")
    server = urlsplit(cluster["server"])
    headers = {"Accept": "application/json", "User-Agent": "anchorline-auditor"}
    token = user.get("token") or (Path(user["tokenFile"]).read_text().strip() if "tokenFile" in user else "")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    tls = _tls(cluster, user) if server.scheme == "https" else None
    return Access(server.hostname or "", server.port or 443, tls, headers)


def _tls(cluster: Object, user: Object) -> ssl.SSLContext:
    ca = _content(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(entry: Object, key: str) -> bytes | None:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return Path(entry[key]).read_bytes() if key in entry else None
