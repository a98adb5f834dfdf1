"""Chapter 4: a namespace asks for trust; a pod is created, and the commands of its containers are run as in the pod."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from anchorline.api import naming
from anchorline.cli.demo import clients, issue, room
from anchorline.cli.demo.room import Room
from anchorline.cli.demo.scene import ELSEWHERE, SHOP, Object, Scene
from anchorline.cli.demo.stage import Stage, require
from anchorline.cli.demo.waiting import until

PUBLIC_AT_LEAST = 100


def play(scene: Scene, port: int) -> None:
    """Annotate, inject, run, and look at who did not ask."""
    stage = scene.stage
    stage.chapter("A namespace asks for trust")
    stage.came(scene.kubectl("annotate", "namespace", SHOP, f"{naming.TRUST}=internal"))
    until(lambda: _asked(scene), "the namespace has the label, and with it the trust store")
    stage.came(scene.kubectl("get", "configmap", "-n", SHOP, naming.TRUST_STORE))
    containers = clients.present(clients.commands(issue.HOST, port))
    if not scene.own and not _called(scene, containers):
        stage.skips(f"this cluster's API server cannot call a webhook at {scene.address}:{scene.webhook_port}")
        return
    until(lambda: _called(scene, containers), "the API server calls the webhook (a dry run comes back patched)")
    pod = _create(scene, SHOP, containers)
    _show_patch(stage, pod)
    mounts = dict(_mounted(scene, pod))
    trusted = _run_all(stage, pod, port, mounts)
    public = _public(stage, pod, mounts)
    _elsewhere(scene, containers, port)
    stage.shows(
        f"{', '.join(trusted)}: trusted, with nothing but what the webhook put into the pod",
        summary=f"{len(trusted)} clients trust it; {public} public roots still there",
    )


def _asked(scene: Scene) -> bool:
    labels = scene.read("namespace", SHOP)["metadata"].get("labels", {})
    return naming.is_enabled(labels.get(naming.TRUST))


def _called(scene: Scene, containers: dict[str, list[str]]) -> bool:
    """Whether a pod would be patched now; the API server hears of webhooks and labels a moment after we do."""
    manifest = clients.as_json(clients.pod("probe", SHOP, containers))
    done = scene.cluster.kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=manifest, check=False)
    if done.returncode:
        return False
    shown = scene.cluster.kubectl("create", "--dry-run=server", "-o", "yaml", "-f", "-", stdin=manifest, check=False)
    return naming.INJECTED_LABEL in shown.stdout


def _create(scene: Scene, namespace: str, containers: dict[str, list[str]]) -> Object:
    scene.stage.came(scene.apply(clients.pod("client", namespace, containers), shown=f"client-in-{namespace}.yaml"))
    return scene.read("pod", "-n", namespace, "client")


def _show_patch(stage: Stage, pod: Object) -> None:
    """Show what the webhook added; the manifest had none of these."""
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    volume = next((each for each in spec["volumes"] if each["name"] == naming.TRUST_VOLUME), None)
    mount = next((each for each in container["volumeMounts"] if each["name"] == naming.TRUST_VOLUME), None)
    require(volume and mount, "the pod was created without a trust store: the webhook did not patch it")
    assert volume and mount  # noqa: S101, PT018 - required above, for mypy
    names = " ".join(each["name"] for each in container["env"])
    values = {each["value"] for each in container["env"]}
    stage.note("the pod as the API server stored it; its manifest had none of this:")
    store = volume["configMap"]
    stage.came(
        f"label   {naming.INJECTED_LABEL}={pod['metadata']['labels'][naming.INJECTED_LABEL]}\n"
        f"volume  ConfigMap {store['name']} (optional: {str(store.get('optional', False)).lower()})\n"
        f"mount   {mount['mountPath']} (read-only) in {', '.join(each['name'] for each in spec['containers'])}\n"
        f"env     {', '.join(sorted(values))} in\n        {names}"
    )


def _mounted(scene: Scene, pod: Object) -> Iterator[tuple[str, Path]]:
    """Bring the ConfigMaps of a pod as a kubelet would: a folder each, by mount path."""
    sources = {each["name"]: each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each}
    for mount in pod["spec"]["containers"][0].get("volumeMounts", []):
        if mount["name"] in sources:
            namespace = pod["metadata"]["namespace"]
            content = scene.read("configmap", "-n", namespace, sources[mount["name"]]).get("data", {})
            folder = scene.folder / "mounted" / namespace / mount["name"]
            folder.mkdir(parents=True)
            for key, value in content.items():
                (folder / key).write_text(value)
            yield mount["mountPath"], folder


def _variables(container: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def _answers(pod: Object, port: int, mounts: dict[str, Path]) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the command of each container with its own variables and mounts."""
    possible = [each for each in pod["spec"]["containers"] if not room.missing() or each["name"] == "curl"]
    return {each["name"]: issue.attempt(each["command"], port, _variables(each), mounts) for each in possible}


def _run_all(stage: Stage, pod: Object, port: int, mounts: dict[str, Path]) -> list[str]:
    if room.missing():
        stage.note("no kubelet runs this pod; its curl is run here, with the mount path in its variables rewritten:")
    else:
        stage.note("no kubelet runs this pod; the command of each of its containers is run here, in a mount namespace")
        stage.note("with exactly its variables, the ConfigMap at its mount path, and the name in /etc/hosts:")
    answers = _answers(pod, port, mounts)
    for name, done in answers.items():
        said = done.stdout if name != "openssl" else done.stderr
        require(done.returncode == 0, f"{name} in the patched pod does not trust the server: {done.stderr.strip()}")
        stage.came(f"{name}: {clients.words(said)}")
    absent = [name for name in clients.commands(issue.HOST, port) if name not in answers]
    if absent:
        stage.note(f"not run here: {', '.join(absent)}")
    stage.note("Java reads none of these variables: a namespace that has it asks for anchorline.dev/trust-formats: jks")
    return list(answers)


def _public(stage: Stage, pod: Object, mounts: dict[str, Path]) -> int:
    """Count the public roots that a client in the pod has: by openssl in the file, and by what Python loads."""
    variables = _variables(pod["spec"]["containers"][0])
    files = {name: str(mounts[naming.TRUST_MOUNT] / name) for name in (naming.FULL_BUNDLE, naming.PRIVATE_BUNDLE)}
    total, private = (Path(file).read_text().count("-----BEGIN CERTIFICATE") for file in files.values())
    stage.came(f"{naming.FULL_BUNDLE}: {total} roots, {private} of them ours (also alone, in {naming.PRIVATE_BUNDLE})")
    public = total - private
    if not room.missing():
        code = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
        loaded = Room(names=(), variables=variables, mounts=mounts).run("python3", "-c", code).stdout.strip()
        stage.came(f"Python in the pod loads {loaded} roots into its default context")
        require(loaded == str(total), f"Python loads {loaded} of the {total} roots in the bundle")
    require(public >= PUBLIC_AT_LEAST, f"the bundle holds only {public} public roots")
    stage.note("there is no Internet in this demo: the public roots are counted, not called")
    return public


def _elsewhere(scene: Scene, containers: dict[str, list[str]], port: int) -> None:
    stage = scene.stage
    stage.came(scene.kubectl("create", "namespace", ELSEWHERE))
    account = ("get", "serviceaccount", "-n", ELSEWHERE, "default")
    until(lambda: not scene.cluster.kubectl(*account, check=False).returncode, "the namespace has its ServiceAccount")
    pod = _create(scene, ELSEWHERE, containers)
    labels, volumes = pod["metadata"].get("labels", {}), pod["spec"]["volumes"]
    patched = naming.INJECTED_LABEL in labels or any(each["name"] == naming.TRUST_VOLUME for each in volumes)
    require(not patched, f"a pod in {ELSEWHERE}, which did not ask, was patched")
    answers = _answers(pod, port, dict(_mounted(scene, pod)))
    for name, done in answers.items():
        require(done.returncode, f"{name} in a pod that was not patched trusts the server")
    stage.came(f"curl: {clients.words(answers['curl'].stderr)}" if "curl" in answers else "")
    stage.shows(
        f"{ELSEWHERE} did not ask: its pod is not patched, and clients in it are refused ({len(answers)} tried)"
    )
