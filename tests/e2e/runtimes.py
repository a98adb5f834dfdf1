"""The runtimes whose clients are held to the story: how each is started, and what its own owner could have set."""

from dataclasses import dataclass

DEBIANS_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
_HOME = "/opt/clients"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime: its client's command, and the variables by which its owner could have decided already.

    `opt_in`: only a format that a namespace asks for reaches it; `appended`: to the owner's own value.
    """

    name: str
    command: tuple[str, ...]
    variables: tuple[str, ...]
    own: str = DEBIANS_ROOTS
    opt_in: bool = False
    appended: bool = False

    def asks(self, url: str, mode: str) -> tuple[str, ...]:
        """Return the command that asks for `url`."""
        return (*self.command, url, mode)


RUNTIMES = (
    Runtime("curl", ("sh", f"{_HOME}/client.sh", "curl"), ("CURL_CA_BUNDLE",)),
    Runtime("openssl", ("sh", f"{_HOME}/client.sh", "openssl"), ("SSL_CERT_FILE",)),
    Runtime("python", ("python3", f"{_HOME}/client.py"), ("SSL_CERT_FILE",)),
    # Debian builds Node with OpenSSL's own store, so that either variable reaches it.
    Runtime("node", ("node", f"{_HOME}/client.js"), ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")),
    Runtime("go", (f"{_HOME}/client-go",), ("SSL_CERT_FILE",)),
    Runtime("ruby", ("ruby", f"{_HOME}/client.rb"), ("SSL_CERT_FILE",)),
    Runtime("perl", ("perl", f"{_HOME}/client.pl"), ("PERL_LWP_SSL_CA_FILE",)),
    Runtime("wget (GnuTLS)", ("sh", f"{_HOME}/client.sh", "wget"), ("WGETRC",), f"{_HOME}/own.wgetrc", opt_in=True),
    Runtime(
        "java", ("java", "-cp", _HOME, "Client"), ("JAVA_TOOL_OPTIONS",), "-Downed=yes", opt_in=True, appended=True
    ),
)
REACHED = tuple(runtime for runtime in RUNTIMES if not runtime.opt_in)


def refused(words: str) -> bool:
    """Whether it was the certificate that a client did not like, and nothing else."""
    return any(word in words.lower() for word in ("certificate", "issuer_cert", "pkix"))
