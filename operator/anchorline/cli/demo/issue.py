"""Chapters 2 and 3: a CA and a certificate in seconds, a real HTTPS server with it, a client that does not trust it."""

import base64
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from anchorline import pki
from anchorline.api import naming
from anchorline.cli.demo import clients, room
from anchorline.cli.demo.leash import Leashed, Order
from anchorline.cli.demo.room import Room
from anchorline.cli.demo.scene import SHOP, Scene
from anchorline.cli.demo.stage import Stage, require

HOST = "web.shop.svc"


def play(scene: Scene, stack: ExitStack) -> int:
    """Issue, serve, be refused; returns the server's port."""
    _issue(scene)
    scene.stage.chapter("A real HTTPS server with the Secret, and clients without the root")
    _store(scene, SHOP, "web-tls")
    port = serve(scene, stack)
    _refused(scene.stage, port)
    return port


def _issue(scene: Scene) -> None:
    stage = scene.stage
    stage.chapter("A CA and a certificate")
    stage.came(scene.kubectl("create", "namespace", SHOP))
    began = time.monotonic()
    stage.came(scene.kubectl("apply", "-f", "examples/privateca.yaml"))
    stage.came(scene.kubectl("apply", "-f", "examples/certificate.yaml"))
    stage.came(scene.kubectl("wait", "--for=condition=Ready", "privateca/internal", "--timeout=30s"))
    stage.came(scene.kubectl("wait", "-n", SHOP, "--for=condition=Ready", "acert/web", "--timeout=30s"))
    seconds = time.monotonic() - began
    stage.came(scene.kubectl("get", "secret", "-n", SHOP, "web-tls"))
    data = secret(scene, SHOP, "web-tls")
    chain = pki.decode_certificates(data[naming.TLS_CERT])
    roots = pki.TrustBundle.of(pki.decode_certificates(data[naming.CA_CERT]), now=None)
    stage.note("the chain in Secret shop/web-tls, and the root in its ca.crt:")
    stage.came(pki.describe_chain(chain, roots))
    require(not any(each in roots for each in chain), "the served chain holds its own root, which no client needs")
    stage.shows(f"Ready {seconds:.1f} s after the first apply", summary=f"Ready after {seconds:.1f} s")


def secret(scene: Scene, namespace: str, name: str) -> dict[str, bytes]:
    """Content of a Secret."""
    found = scene.read("secret", "-n", namespace, name)
    require(found, f"there is no Secret {namespace}/{name}")
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


def _store(scene: Scene, namespace: str, name: str) -> None:
    """Lay the Secret down where a kubelet would mount it for the server."""
    folder = scene.folder / "served" / namespace / name
    folder.mkdir(parents=True, mode=0o700)
    for key, value in secret(scene, namespace, name).items():
        (folder / key).write_bytes(value)
        (folder / key).chmod(0o600)


def serve(scene: Scene, stack: ExitStack, folder: Path | None = None) -> int:
    """Start our HTTPS server on a free port and return it; it ends with the stack."""
    where = folder or scene.folder / "served"
    command = [sys.executable, "-m", "anchorline.cli.demo.https_server", str(where)]
    order = Order(name="server", command=command, log=str(scene.folder / "server.log"))
    server = Leashed(order, stdout=subprocess.PIPE)
    stack.callback(server.kill)
    answer = server.words.readline().strip()
    require(answer, f"the HTTPS server did not start:\n{server.last_words()}")
    return int(answer)


def _refused(stage: Stage, port: int) -> None:
    if room.missing():
        stage.note(f"{room.missing()}; curl alone is run, told where the name is, with files at other paths")
    for name, command in clients.present(clients.commands(HOST, port)).items():
        if room.missing() and name != "curl":
            continue
        if name in {"curl", "python"}:
            stage.ran(*(command if name == "curl" else ["python3", "-c", "urllib.request.urlopen(...)", command[-1]]))
        done = attempt(command, port)
        require(done.returncode != 0, f"{name} trusts the server without having its root: {done.stdout}")
        stage.came(f"{name}: {clients.words(done.stderr + done.stdout)}")
    stage.shows("nobody trusts it yet", summary="refused by every client, as it should be")


def attempt(
    command: list[str],
    port: int,
    variables: dict[str, str] | None = None,
    mounts: dict[str, Path] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a client as a pod would run it; where that cannot be had, curl with other paths and a pinned address."""
    if not room.missing():
        return Room(names=(HOST,), variables=variables or {}, mounts=mounts or {}).run(*command)
    moved = dict(variables or {})
    for path, folder in (mounts or {}).items():
        moved = {name: value.replace(path, str(folder)) for name, value in moved.items()}
    pinned = [*command, "--resolve", f"{HOST}:{port}:127.0.0.1"]
    return subprocess.run(pinned, env={"PATH": room.path(), **moved}, capture_output=True, text=True, check=False)
