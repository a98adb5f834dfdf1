"""Chapter 6: a name that is not this namespace's is asked for."""

from anchorline.cli.demo.scene import SHOP, Scene
from anchorline.cli.demo.stage import require

MESSAGE = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}'
CERTIFICATE = {
    "apiVersion": "anchorline.dev/v1alpha1",
    "kind": "Certificate",
    "metadata": {"name": "greedy", "namespace": SHOP},
    "spec": {"caRef": {"name": "internal"}, "secretName": "greedy-tls", "dnsNames": ["login.bank.svc"]},
}


def play(scene: Scene) -> None:
    """Ask, be refused, read the sentence."""
    stage = scene.stage
    stage.chapter("A name that is not this namespace's")
    stage.note("namespace shop asks for login.bank.svc, a name of namespace bank")
    stage.came(scene.apply(CERTIFICATE, shown="greedy.yaml"))
    stage.came(scene.kubectl("wait", "-n", SHOP, "--for=condition=Ready=False", "acert/greedy", "--timeout=30s"))
    sentence = scene.kubectl("get", "acert", "-n", SHOP, "greedy", "-o", MESSAGE)
    stage.came(sentence)
    require("login.bank.svc" in sentence, f"the refusal does not name what is refused: {sentence!r}")
    require(not scene.read("secret", "-n", SHOP, "greedy-tls"), "a Secret was made for a name that was refused")
    stage.shows("refused, with the reason; no Secret was made", summary="refused, with a sentence for its user")
