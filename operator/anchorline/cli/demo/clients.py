"""The clients of this machine as a pod would run them, and the pods that they are containers of."""

import json
import shutil
from collections.abc import Mapping
from typing import Any

_PYTHON = """\
import sys, urllib.request, urllib.error
try: print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode().strip())
except urllib.error.URLError as error: sys.exit(f"{type(error.reason).__name__}: {error.reason}")
"""
_NODE = """\
require("https").get(process.argv[1], answer => answer.pipe(process.stdout))
  .on("error", error => { console.error(`${error.code}: ${error.message}`); process.exitCode = 1; });
"""


def commands(host: str, port: int) -> dict[str, list[str]]:
    """Command of each client by its name."""
    url = f"https://{host}:{port}/"
    return {
        "curl": ["curl", "-sS", "--max-time", "10", url],
        "python": ["python3", "-c", _PYTHON, url],
        "node": ["node", "-e", _NODE, url],
        "git": ["git", "ls-remote", f"{url}shop.git"],
        "openssl": [
            *("openssl", "s_client", "-brief", "-verify_return_error", "-connect", f"{host}:{port}"),
            *("-servername", host, "-verify_hostname", host),
        ],
    }


def present(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Those that are on this machine; Python always is."""
    return {name: command for name, command in found.items() if name == "python" or shutil.which(command[0])}


def pod(name: str, namespace: str, containers: Mapping[str, list[str]]) -> dict[str, Any]:
    """A pod with one container for each client; it says nothing of trust."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [
                {"name": each, "image": f"example.org/{each}", "command": command}
                for each, command in containers.items()
            ]
        },
    }


def as_json(manifest: Mapping[str, Any]) -> str:
    """Text for `kubectl apply -f -`."""
    return json.dumps(manifest)


def words(output: str) -> str:
    """The line of a client's output that says most: its verdict, else one of certificates, else the first."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [
        line
        for sign in ("curl: (", "verification", "verify error", "certificate")
        for line in lines
        if sign in line.lower()
    ]
    return (telling or lines or ["(nothing)"])[0]
