"""The chart's life on a real API server of its own: install, upgrade, uninstall, install again, a second release.

The control plane is not shared with other tests: CRDs are made, changed and taken over here.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.chart import cluster
from tests.chart.cluster import CHART, NAMESPACE, OPERATOR, RELEASE, Cluster, Object
from tests.support.lab import eventually

from anchorline import lab

pytestmark = pytest.mark.contract

CA = {
    "apiVersion": "anchorline.dev/v1alpha1",
    "kind": "PrivateCA",
    "metadata": {"name": "internal"},
    "spec": {"subject": {"commonName": "Acme"}},
}
PLACE = ("--namespace", NAMESPACE)


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A control plane of our own."""
    with lab.ControlPlane.started() as plane:
        yield Cluster(plane.kubeconfig)


def chart(folder: Path, column: str) -> Path:
    """Copy the chart; its CRDs have one printer column more."""
    copy = folder / column
    shutil.copytree(CHART, copy)
    for path in (copy / "crds-generated").glob("*.yaml"):
        crd = yaml.safe_load(path.read_text())
        more = {"name": column, "type": "string", "jsonPath": ".metadata.name"}
        crd["spec"]["versions"][0].setdefault("additionalPrinterColumns", []).append(more)
        path.write_text(yaml.safe_dump(crd))
    return copy


def columns(server: Cluster) -> list[str]:
    found = server.get("crd", "privatecas.anchorline.dev")
    return [column["name"] for column in found["spec"]["versions"][0]["additionalPrinterColumns"]]


def authority_key() -> Object:
    """Make a Secret as the operator keeps a CA's key."""
    labels = {"anchorline.dev/managed": "true", "anchorline.dev/role": "root"}
    metadata = {"name": "internal-root-1", "namespace": NAMESPACE, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {"tls.key": "k"},
        "immutable": True,
    }


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("--set=webhook.url=https://127.0.0.1:9443/mutate", "--set=deployments.enabled=false"),
        ("--set=protectTrustStores=false", "--set=operator.replicas=2", "--set=webhook.servingNames={a.b}"),
    ],
)
def test_the_api_server_takes_every_object(server: Cluster, values: tuple[str, ...]) -> None:
    args = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    done = server.kubectl(*args, stdin=cluster.template(*values, namespace="default"))
    assert "Warning" not in done.stderr


def test_pods_conform_to_the_restricted_standard(server: Cluster) -> None:
    server.kubectl("create", "namespace", "strict")
    server.kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    objects = cluster.rendered("--set=crds.enabled=false", namespace="strict")
    server.create(*(o for o in objects if o["kind"] == "ServiceAccount"))
    for number, deployment in enumerate(o for o in objects if o["kind"] == "Deployment"):
        template = deployment["spec"]["template"]
        metadata = {"name": f"pod-{number}", "namespace": "strict", "labels": template["metadata"]["labels"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        server.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_install_upgrade_uninstall_and_install_again(server: Cluster, tmp_path: Path) -> None:
    server.install(chart=chart(tmp_path, "old"))
    server.kubectl("wait", "crd/privatecas.anchorline.dev", "--for=condition=Established", "--timeout=30s")
    operator = server.become(OPERATOR)
    operator.create(authority_key())
    server.create(CA)
    before = kept(server)
    the_examples_are_accepted(server)
    apply_ca_bundle(server)
    well_typed(server)

    server.helm("upgrade", RELEASE, str(chart(tmp_path, "new")), *PLACE)
    assert columns(server)[-1] == "new"
    assert ca_bundle(server) == "Y2E="
    a_second_release_is_refused(server, tmp_path)
    protection_can_be_switched_off(server, tmp_path)

    server.uninstall()
    assert kept(server) == before
    gone(server)

    server.install(chart=tmp_path / "new")
    assert kept(server) == before
    server.uninstall()
    another_release_can_take_over(server, tmp_path)
    assert kept(server) == before


def kept(server: Cluster) -> list[str]:
    """Return the identities of the PrivateCA and of its key."""
    found = (server.get("privateca", "internal"), server.get("secret", "internal-root-1", "-n", NAMESPACE))
    return [item["metadata"]["uid"] for item in found]


def the_examples_are_accepted(server: Cluster) -> None:
    server.kubectl("create", "namespace", "shop")
    args = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    server.kubectl(*args, "-f", str(cluster.ROOT / "examples"))


def apply_ca_bundle(server: Cluster) -> None:
    """Apply the field as the webhook does."""
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "anchorline"},
        "webhooks": [{"name": "pods.anchorline.dev", "clientConfig": {"caBundle": "Y2E="}}],
    }
    # kubectl fills in nothing: only these fields become ours.
    args = ("apply", "--server-side", "--field-manager=anchorline", "--validate=false", "-f", "-")
    server.become(cluster.WEBHOOK).kubectl(*args, stdin=json.dumps(body))


def ca_bundle(server: Cluster) -> str:
    found = server.get("mutatingwebhookconfiguration", "anchorline")
    return str(found["webhooks"][0]["clientConfig"].get("caBundle"))


def well_typed(server: Cluster) -> None:
    """Assert that the API server finds nothing wrong with the types in the policies' expressions."""

    def checked() -> bool:
        statuses = [item.get("status", {}) for item in server.get("validatingadmissionpolicies")["items"]]
        return bool(statuses) and all("typeChecking" in status for status in statuses)

    eventually(checked, "the policies are type-checked")
    items = server.get("validatingadmissionpolicies")["items"]
    assert [i["status"]["typeChecking"] for i in items] == [{}] * len(items)


def a_second_release_is_refused(server: Cluster, folder: Path) -> None:
    done = server.helm("install", "second", str(folder / "new"), "-n", "second", "--create-namespace", check=False)
    assert done.returncode != 0
    assert f'already in this cluster, as release "{RELEASE}" in namespace "{NAMESPACE}"' in done.stderr


def protection_can_be_switched_off(server: Cluster, folder: Path) -> None:
    server.become(OPERATOR).create(cluster.trust_store("store", NAMESPACE))
    delete = ("delete", "configmap", "store", "-n", NAMESPACE)
    assert server.kubectl(*delete, check=False).returncode != 0
    server.helm("upgrade", RELEASE, str(folder / "new"), *PLACE, "--set=protectTrustStores=false")
    eventually(lambda: server.kubectl(*delete, check=False).returncode == 0, "the policy is gone")


def gone(server: Cluster) -> None:
    """Assert that all but what helm keeps is gone."""
    kinds = "mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert server.get(kinds)["items"] == []
    left = server.get("deployments,services,poddisruptionbudgets,roles,rolebindings", "-n", NAMESPACE)["items"]
    assert left == []


def another_release_can_take_over(server: Cluster, folder: Path) -> None:
    args = ("install", "other", str(folder / "new"), *PLACE)
    done = server.helm(*args, check=False)
    assert "invalid ownership metadata" in done.stderr
    server.helm(*args, "--take-ownership")
    server.helm("uninstall", "other", *PLACE)


def test_examples_are_objects_of_ours() -> None:
    examples = cluster.ROOT / "examples"
    found = {path.stem: yaml.safe_load(path.read_text()) for path in examples.glob("*.yaml")}
    assert {name: (o["kind"], o["metadata"]["name"]) for name, o in found.items()} == {
        "privateca": ("PrivateCA", "internal"),
        "certificate": ("Certificate", "web"),
        "namespace": ("Namespace", "shop"),
        "policy": ("PrivateCA", "edge"),
        "brought": ("PrivateCA", "acme"),
    }
