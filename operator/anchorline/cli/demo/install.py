"""Chapter 1: a control plane, the chart by helm, operator and webhook as the chart's ServiceAccounts."""

from anchorline.cli.demo.scene import NAMESPACE, Scene
from anchorline.cli.demo.stage import require


def play(scene: Scene) -> None:
    """Install, start, and check that the processes have the chart's rights and no more."""
    stage = scene.stage
    stage.came(_server(scene))
    if not scene.own:
        scene.check_free()
    stage.came(_chart(scene), limit=6)
    stage.note(
        "both run on this machine: no kubelet here" if scene.own else "both run on this machine, beside the cluster"
    )
    scene.start_operator()
    scene.start_webhook()
    scene.await_ready("operator")
    if scene.own:
        scene.await_ready("webhook")
    stage.came(_rights(scene))
    stage.shows(
        "operator and webhook are ready, each with the token of its ServiceAccount",
        summary="chart installed, operator and webhook ready",
    )


def _server(scene: Scene) -> str:
    version = scene.cluster.kubectl("version").stdout
    server = next((line for line in version.splitlines() if line.startswith("Server")), "")
    return f"{server} at {scene.cluster.server}"


def _chart(scene: Scene) -> str:
    url = f"https://{scene.address}:{scene.webhook_port}/mutate"
    values = ("--set", "deployments.enabled=false", "--set", f"webhook.url={url}")
    where = ("--namespace", NAMESPACE, "--create-namespace")
    done = scene.helm("install", "anchorline", "charts/anchorline", *where, *values)
    wanted = ("NAME:", "NAMESPACE:", "STATUS:", "REVISION:")
    return "\n".join(line for line in done.splitlines() if line.startswith(wanted))


def _rights(scene: Scene) -> str:
    """What the operator may and may not do, by the API server's own word."""
    who = f"--as=system:serviceaccount:{NAMESPACE}:anchorline-operator"
    may = scene.kubectl("auth", "can-i", "create", "secrets", who, check=False).strip()
    must_not = scene.kubectl("auth", "can-i", "create", "pods", who, check=False).strip()
    require(may == "yes", "the operator's ServiceAccount may not create Secrets: the chart's RBAC is not in force")
    require(must_not.startswith("no"), "the operator's ServiceAccount may create pods: more than the chart gives it")
    return f"{may}\n{must_not}"
