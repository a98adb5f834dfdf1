"""The webhook called by a real API server: injection, dry run, its absence, and its certificates changed meanwhile."""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.chart import cluster as chart
from tests.support.lab import eventually, given
from tests.support.operator import free_port

from anchorline.api import naming
from anchorline.kube.client import Client
from anchorline.kube.connection import discover
from anchorline.lab import Cluster
from anchorline.plan.injection import VARIABLES
from anchorline.shell.clock import Clock
from anchorline.shell.webhook.arguments import Settings
from anchorline.shell.webhook.process import Webhook
from anchorline.shell.webhook.rotation import Lives

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("near")]
NAMESPACE = "anchorline-webhook-test"
PROBE = "anchorline-probe"


def configuration(port: int) -> str:
    """What the chart makes with `webhook.url`, in the namespace of these tests."""
    flags = ("--set=crds.enabled=false", f"--set=webhook.url=https://127.0.0.1:{port}/mutate")
    found = chart.one(chart.rendered(*flags, namespace=NAMESPACE), "MutatingWebhookConfiguration", "anchorline")
    return json.dumps(found)


def called_back(plane: Cluster) -> bool:
    """Whether the API server can call this machine's loopback; it hears of a new webhook a moment after we do."""
    asked = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": PROBE, "labels": {PROBE: "true"}}}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        plane.kubectl("apply", "--server-side", "-f", "-", stdin=probe(listener.getsockname()[1]))
        try:
            for _ in range(10):
                plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(asked), check=False)
                with suppress(TimeoutError):
                    listener.accept()[0].close()
                    return True
        finally:
            plane.kubectl("delete", "mutatingwebhookconfiguration", PROBE)
    return False


def probe(port: int) -> str:
    """A webhook for nothing but the probe's own ConfigMap."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    more = {"name": f"{PROBE}.anchorline.dev", "rules": [rule], "objectSelector": {"matchLabels": {PROBE: "true"}}}
    more |= {"clientConfig": {"url": f"https://127.0.0.1:{port}/"}, "admissionReviewVersions": ["v1"]}
    one = {**more, "failurePolicy": "Ignore", "sideEffects": "None", "timeoutSeconds": 1}
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return json.dumps({**kind, "metadata": {"name": PROBE}, "webhooks": [one]})


@pytest.fixture(scope="module")
def near(plane: Cluster) -> None:
    """Skips where the API server runs elsewhere, or in a container of its own, as that of kind does."""
    if given() and not called_back(plane):
        pytest.skip(f"the API server of {given()} cannot call a webhook on this machine's 127.0.0.1")


@pytest.fixture
def port(plane: Cluster) -> Iterator[int]:
    """A cluster with the configuration and three namespaces; the port that the webhook must listen on."""
    number = free_port()
    namespaces = (NAMESPACE, "webhook-asked", "webhook-did-not-ask")
    for name in namespaces:
        plane.kubectl("create", "namespace", name)
    plane.kubectl("label", "namespace", "webhook-asked", "anchorline.dev/trust=enabled")
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=configuration(number))
    for name in namespaces:
        eventually(
            lambda name=name: plane.kubectl("get", "sa", "default", "-n", name, check=False).returncode == 0,
            f"service account in {name}",
        )
    yield number
    plane.kubectl("delete", "mutatingwebhookconfiguration", "anchorline")
    plane.kubectl("delete", "namespace", *namespaces, "--wait=true")


def command(config: Path, port: int, health: int) -> list[str]:
    flags = {
        "kubeconfig": str(config),
        "namespace": NAMESPACE,
        "address": "127.0.0.1",
        "port": str(port),
        "health-port": str(health),
        "serving-name": "127.0.0.1",
    }
    return [sys.executable, "-m", "anchorline", "webhook", *(f"--{k}={v}" for k, v in flags.items())]


@contextmanager
def webhook_process(config: Path, port: int, health: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """`anchorline webhook`, ready."""
    health = health or free_port()
    process = subprocess.Popen(command(config, port, health), env={**os.environ, "PYTHONPATH": "operator"})
    try:
        eventually(lambda: is_ready(health), "webhook ready")
        yield process
    finally:
        process.kill()
        process.wait()


def is_ready(health: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def reviews(health: int) -> float:
    """How often the webhook was called."""
    with urllib.request.urlopen(f"http://127.0.0.1:{health}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("anchorline_webhook_requests_total{"))


def create_pod(plane: Cluster, name: str, namespace: str, *flags: str, **annotations: str) -> dict[str, Any]:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "initContainers": [{"name": "init", "image": "none.invalid/a"}],
            "containers": [{"name": "main", "image": "none.invalid/a", "env": [{"name": "PIP_CERT", "value": "/own"}]}],
        },
    }
    done = plane.kubectl("create", "-f", "-", "-o", "json", *flags, stdin=json.dumps(pod))
    created: dict[str, Any] = json.loads(done.stdout)
    return created


def is_injected(pod: dict[str, Any]) -> bool:
    return (pod["metadata"].get("labels") or {}).get("anchorline.dev/injected") == "true"


def test_pods_of_a_namespace_that_asked_are_injected_and_no_others(plane: Cluster, port: int) -> None:
    with webhook_process(plane.kubeconfig, port) as process:
        eventually(lambda: is_injected(create_pod(plane, "dry", "webhook-asked", "--dry-run=server")), "injected")
        pod = create_pod(plane, "web", "webhook-asked")
        assert is_injected(pod)
        (volume,) = [v for v in pod["spec"]["volumes"] if v["name"] == "anchorline-trust"]
        assert volume["configMap"] == {"name": "anchorline-trust", "defaultMode": 0o444, "optional": True}
        for container in pod["spec"]["initContainers"] + pod["spec"]["containers"]:
            mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
            assert mounts["/etc/anchorline/trust"]["readOnly"] is True
            assert len(container["env"]) == 11
        assert {"name": "PIP_CERT", "value": "/own"} in pod["spec"]["containers"][0]["env"]
        assert not is_injected(create_pod(plane, "web", "webhook-did-not-ask"))

        process.send_signal(signal.SIGTERM)
        assert process.wait(12) == 0
    assert not is_injected(create_pod(plane, "without", "webhook-asked")), "failurePolicy Ignore: created all the same"


def test_who_did_not_ask_and_who_opts_out_never_calls_the_webhook(plane: Cluster, port: int) -> None:
    health, out = free_port(), {"anchorline.dev/inject": "false"}
    with webhook_process(plane.kubeconfig, port, health):
        eventually(lambda: is_injected(dry(plane)), "injected")
        before = reviews(health)
        assert before >= 1
        assert not is_injected(create_pod(plane, "out", "webhook-asked", **out))
        assert not is_injected(create_pod(plane, "elsewhere", "webhook-did-not-ask"))
        assert reviews(health) == before
        assert is_injected(create_pod(plane, "in", "webhook-asked", **{"anchorline.dev/inject": "true"}))
        # reinvocationPolicy: IfNeeded may ask a second time.
        assert reviews(health) > before


def test_a_restart_and_a_second_replica_write_nothing(plane: Cluster, port: int) -> None:
    def versions() -> list[str]:
        objects = [
            ("secret", "anchorline-webhook-tls", "-n", NAMESPACE),
            ("mutatingwebhookconfiguration", "anchorline"),
        ]
        return [plane.kubectl("get", *o, "-o", "jsonpath={.metadata.resourceVersion}").stdout for o in objects]

    with webhook_process(plane.kubeconfig, port):
        before = versions()
        with webhook_process(plane.kubeconfig, free_port()):
            assert versions() == before
    with webhook_process(plane.kubeconfig, port):
        assert versions() == before


@contextmanager
def short_lived(plane: Cluster, port: int, lives: Lives) -> Iterator[Webhook]:
    """A webhook in this process, whose certificates live for seconds."""
    settings = Settings(
        address="127.0.0.1", port=port, health_port=0, serving_names=("127.0.0.1",), lives=lives, look_again_seconds=0.2
    )
    made: list[Webhook] = []
    stop: list[Callable[[], None]] = []

    async def main() -> None:
        async with Client(discover(plane.kubeconfig)) as client:
            webhook = Webhook(client, settings, NAMESPACE, Clock(lambda: None))
            loop = asyncio.get_running_loop()
            stop.append(lambda: loop.call_soon_threadsafe(webhook.stop))
            made.append(webhook)
            await webhook.run()

    thread = threading.Thread(target=lambda: uvloop.run(main()), daemon=True)
    thread.start()
    eventually(lambda: bool(made) and made[0].keeper.ready and "reviews" in made[0].ports, "webhook ready")
    yield made[0]
    stop[0]()
    thread.join(15)


def test_ca_and_certificate_change_while_pods_are_created_and_none_is_missed(plane: Cluster, port: int) -> None:
    lives = Lives(authority=timedelta(seconds=30), serving=timedelta(seconds=12), grace=timedelta(seconds=2))
    with short_lived(plane, port, lives) as webhook:
        eventually(lambda: is_injected(create_pod(plane, "dry", "webhook-asked", "--dry-run=server")), "injected")
        authorities, certificates, created = set(), set(), 0
        deadline = time.monotonic() + 120
        while len(authorities) < 2 or len(certificates) < 4:
            assert time.monotonic() < deadline, f"saw {len(authorities)} CAs and {len(certificates)} certificates"
            assert is_injected(create_pod(plane, f"web-{created}", "webhook-asked", "--dry-run=server"))
            created += 1
            assert webhook.keeper.served
            authorities.add(webhook.keeper.served.authority.fingerprint)
            certificates.add(webhook.keeper.served.pair.certificate.fingerprint)
        # A pod was created, and injected, under each of them.
        assert created >= len(certificates)


def test_cabundle_has_its_own_field_manager_and_the_rest_is_the_charts(plane: Cluster, port: int) -> None:
    with webhook_process(plane.kubeconfig, port):
        get = ("get", "mutatingwebhookconfiguration", "anchorline", "-o", "json", "--show-managed-fields")
        found = json.loads(plane.kubectl(*get).stdout)
        (ours,) = [f for f in found["metadata"]["managedFields"] if f["manager"] == "anchorline-webhook"]
        fields = ours["fieldsV1"]["f:webhooks"]
        assert fields == {
            f'k:{{"name":"{naming.webhook_name(formats)}"}}': {
                ".": {},
                "f:name": {},
                "f:clientConfig": {"f:caBundle": {}},
            }
            for formats in naming.TRUST_LABELS.values()
        }
        (bundle,) = {each["clientConfig"]["caBundle"] for each in found["webhooks"]}
        assert b"PRIVATE" not in base64.b64decode(bundle)
        # An upgrade by the chart leaves caBundle where it is.
        plane.kubectl("apply", "--server-side", "-f", "-", stdin=configuration(port))
        after = json.loads(plane.kubectl(*get).stdout)["webhooks"]
        assert {each["clientConfig"]["caBundle"] for each in after} == {bundle}


def test_the_label_says_which_formats_are_injected(plane: Cluster, port: int) -> None:
    with webhook_process(plane.kubeconfig, port):
        plain = {*VARIABLES}
        expected = [
            ("enabled.jks", plain | {"JAVA_TOOL_OPTIONS"}),
            ("enabled.wgetrc", plain | {"WGETRC"}),
            ("enabled.jks.wgetrc", plain | {"JAVA_TOOL_OPTIONS", "WGETRC"}),
            ("enabled", plain),
        ]
        for number, (label, names) in enumerate(expected):
            patch = json.dumps({"metadata": {"labels": {"anchorline.dev/trust": label}}})
            plane.kubectl("patch", "namespace", "webhook-asked", "--type=merge", "-p", patch)
            eventually(lambda names=names: variables(dry(plane)) == names, f"injection for {label}")
            pod = create_pod(plane, f"web-{number}", "webhook-asked")
            assert variables(pod) == names
            assert variables(pod, "initContainers") == names


def test_java_options_are_appended_to_and_those_from_elsewhere_are_told_of(plane: Cluster, port: int) -> None:
    own = {"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g"}
    elsewhere = {"name": own["name"], "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}
    containers = [{"name": f"c{n}", "image": "none.invalid/a", "env": [e]} for n, e in enumerate((own, elsewhere))]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "java"}, "spec": {"containers": containers}}
    plane.kubectl("label", "--overwrite", "namespace", "webhook-asked", "anchorline.dev/trust=enabled.jks")
    with webhook_process(plane.kubeconfig, port):
        eventually(lambda: "JAVA_TOOL_OPTIONS" in variables(dry(plane)), "injection")
        done = plane.kubectl("create", "-n", "webhook-asked", "-f", "-", "-o", "json", stdin=json.dumps(pod))
    first, second = (each["env"] for each in json.loads(done.stdout)["spec"]["containers"])
    path = "/etc/anchorline/trust/truststore.jks"
    ours = f"-Djavax.net.ssl.trustStore={path} -Djavax.net.ssl.trustStoreType=JKS"
    assert first[0] == {"name": "JAVA_TOOL_OPTIONS", "value": f"-Xmx1g {ours}"}
    assert second[0] == elsewhere
    assert "JAVA_TOOL_OPTIONS is set by valueFrom" in done.stderr


def dry(plane: Cluster) -> dict[str, Any]:
    return create_pod(plane, "dry", "webhook-asked", "--dry-run=server")


def variables(pod: dict[str, Any], kind: str = "containers") -> set[str]:
    return {entry["name"] for entry in pod["spec"][kind][0].get("env", ())}
