"""What is injected into pods: the trust store as a directory, and the variables that point runtimes at it."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from anchorline.api import naming

Object = dict[str, Any]

# One full bundle under all of these made 28 of 31 runtime set-ups trust both a private and a public server
# (`facts/trust-in-clients.md` §3.2). Never SSL_CERT_DIR: curl then ignores SSL_CERT_FILE.
VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PERL_LWP_SSL_CA_FILE",
    "CARGO_HTTP_CAINFO",
)

JAVA_OPTIONS: Final = "JAVA_TOOL_OPTIONS"
JAVA_PROPERTY: Final = "-Djavax.net.ssl.trustStore"  # and, as a beginning, those of its type and password
# Java splits its options at blanks, and knows quotes: any other path would keep it from starting.
_PLAIN_PATH: Final = re.compile(r"[\w./-]+", re.ASCII)


class Outcome(StrEnum):
    """What became of a pod, one word per cause; label value of `anchorline_webhook_requests_total`."""

    INJECTED = "injected"
    ALREADY = "already"
    OPTED_OUT = "opted-out"
    WINDOWS = "windows"
    MIRROR = "mirror"
    FOREIGN_VOLUME = "foreign-volume"
    FOREIGN_MOUNT = "foreign-mount"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What to inject: which ConfigMap, under which volume name, where, and the variables that name its full bundle."""

    config_map: str = naming.TRUST_STORE
    volume: str = naming.TRUST_VOLUME
    mount: str = naming.TRUST_MOUNT
    file: str = naming.FULL_BUNDLE
    variables: tuple[str, ...] = field(default=VARIABLES)
    formats: tuple[str, ...] = ()


DEFAULT: Final = Injection()


@lru_cache(maxsize=64)
def variables(where: str, spec: Injection) -> dict[str, str]:
    """Variables and their values for a trust store at `where`. It is shared between pods: read, never changed."""
    wanted = dict.fromkeys(spec.variables, f"{where}/{spec.file}")
    if naming.JKS in spec.formats and (options := java_truststore(where)):
        wanted[JAVA_OPTIONS] = options
    if naming.WGETRC in spec.formats and where == spec.mount:
        # What is written in it names the bundle where we mount it, and nowhere else.
        wanted["WGETRC"] = f"{where}/{naming.WGETRC_FILE}"
    return wanted


def java_truststore(where: str) -> str:
    """Java's options for a trust store at `where`, "" for a path that cannot be written in them."""
    if not _PLAIN_PATH.fullmatch(where):
        return ""
    return f"{JAVA_PROPERTY}={where}/{naming.JAVA_TRUSTSTORE} {JAVA_PROPERTY}Type=JKS"


def volume(spec: Injection) -> Object:
    """The volume that holds the trust store; a pod starts without it, too."""
    return {"name": spec.volume, "configMap": {"name": spec.config_map, "defaultMode": 0o444, "optional": True}}


def mount(spec: Injection) -> Object:
    """Its mount in a container."""
    return {"name": spec.volume, "mountPath": spec.mount, "readOnly": True}
