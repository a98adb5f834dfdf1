"""The chart's three ValidatingAdmissionPolicies on a real API server: one accept and one reject per clause.

The operator's ServiceAccount is given every right there is, so that what is refused here is refused by the policies.
"""

import json
from collections.abc import Callable, Iterator

import pytest
from tests.chart.cluster import OPERATOR, WEBHOOK, Cluster, Done, Object, installed, trust_store

from anchorline import lab

pytestmark = pytest.mark.contract

SHOP = "policies-shop"
OURS = {"anchorline.dev/managed": "true"}
Make = Callable[..., Object]
EVERYTHING = ("clusterrolebinding", "anchorline-test-everything")


@pytest.fixture(scope="module")
def admin(plane: lab.Cluster) -> Iterator[Cluster]:
    """The chart installed, a namespace of somebody else, and an operator that RBAC keeps from nothing."""
    with installed(plane, "--set=crds.enabled=false", "--set=deployments.enabled=false") as cluster:
        cluster.kubectl("create", *EVERYTHING, "--clusterrole=cluster-admin", f"--user={OPERATOR}")
        cluster.create(namespace(SHOP, {"team": "shop"}))
        yield cluster
        cluster.kubectl("delete", *EVERYTHING)
        cluster.kubectl("delete", "namespace", SHOP, "--timeout=120s")


@pytest.fixture
def operator(admin: Cluster) -> Cluster:
    """The same API server, asked as the operator."""
    return admin.become(OPERATOR)


@pytest.fixture
def store(operator: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A trust store in the shop; its name."""
    name = f"store-{abs(hash(request.node.name))}"
    operator.create(trust_store(name, SHOP))
    yield name
    operator.kubectl("delete", "configmap", name, "-n", SHOP, "--ignore-not-found")


def namespace(name: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels, "annotations": {"anchorline.dev/trust": "internal"}},
    }


def secret(name: str, labels: dict[str, str] | None = None, kind: str = "Opaque") -> Object:
    account = {"kubernetes.io/service-account.name": "default"}
    metadata = {"name": name, "namespace": SHOP, "labels": labels or {}, "annotations": account}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata}


def configmap(name: str, labels: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": SHOP, "labels": labels or {}},
    }


def patched(cluster: Cluster, what: str, patch: object, *args: str) -> Done:
    """Patch (JSON merge) one object; only as far as admission goes, nothing is written."""
    body = json.dumps(patch)
    return cluster.kubectl(
        "patch", *what.split("/"), "--type=merge", "-p", body, "--dry-run=server", *args, check=False
    )


def refused(done: Done, policy: str, words: str) -> None:
    """Assert that this policy refused, in these words."""
    assert done.returncode != 0, done.stdout
    assert f"ValidatingAdmissionPolicy '{policy}'" in done.stderr
    assert words in done.stderr


def allowed(done: Done) -> None:
    assert done.returncode == 0, done.stderr


# anchorline-operator-namespaces


@pytest.mark.parametrize("value", ["enabled", None])
def test_operator_may_set_and_remove_its_label(operator: Cluster, value: str | None) -> None:
    allowed(patched(operator, f"namespace/{SHOP}", {"metadata": {"labels": {"anchorline.dev/trust": value}}}))


def test_operator_may_apply_its_label_as_it_does(operator: Cluster) -> None:
    label = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": SHOP, "labels": {"anchorline.dev/trust": "enabled"}},
    }
    args = ("apply", "--server-side", "--field-manager=anchorline", "-f", "-")
    allowed(operator.kubectl(*args, stdin=json.dumps(label), check=False))
    allowed(operator.kubectl(*args, stdin=json.dumps(namespace_without_labels()), check=False))


def namespace_without_labels() -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP}}


OWNER = {"apiVersion": "v1", "kind": "Namespace", "name": "default", "uid": "00000000-0000-0000-0000-000000000000"}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}, "no label of a Namespace but"),
        ({"labels": {"team": "mine"}}, "no label of a Namespace but"),
        ({"labels": {"team": None}}, "no label of a Namespace but"),
        ({"labels": {"team": None, "anchorline.dev/trust": "enabled"}}, "no label of a Namespace but"),
        ({"annotations": {"anchorline.dev/trust": None}}, "annotations of a Namespace"),
        ({"annotations": {"a": "b"}}, "annotations of a Namespace"),
        ({"finalizers": ["example.org/never"]}, "finalizers or ownerReferences"),
        ({"ownerReferences": [OWNER]}, "finalizers or ownerReferences"),
    ],
)
def test_operator_may_change_nothing_else_of_a_namespace(operator: Cluster, metadata: Object, words: str) -> None:
    done = patched(operator, f"namespace/{SHOP}", {"metadata": metadata})
    refused(done, "anchorline-operator-namespaces", words)


STATUS = '{"status": {"conditions": [{"type": "NamespaceDeletionContentFailure", "status": "True"}]}}'


@pytest.mark.parametrize(
    "command",
    [
        ("create", "namespace", "policies-new"),
        ("delete", "namespace", SHOP),
        ("patch", "namespace", SHOP, "--subresource=status", "--type=merge", "-p", STATUS),
    ],
)
def test_operator_may_not_create_or_delete_a_namespace_or_write_its_status(
    operator: Cluster, command: tuple[str, ...]
) -> None:
    done = operator.kubectl(*command, "--dry-run=server", check=False)
    refused(done, "anchorline-operator-namespaces", "may not create, delete or finalize")


def test_operator_may_not_finalize_a_namespace(operator: Cluster) -> None:
    body = operator.get("namespace", SHOP)
    body["spec"]["finalizers"] = []
    path = f"/api/v1/namespaces/{SHOP}/finalize"
    done = operator.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)
    refused(done, "anchorline-operator-namespaces", "may not create, delete or finalize")


def test_others_may_change_namespaces(admin: Cluster) -> None:
    allowed(patched(admin, f"namespace/{SHOP}", {"metadata": {"labels": {"team": "mine"}}}))


# anchorline-operator-objects


@pytest.mark.parametrize("make", [secret, configmap])
def test_operator_may_write_what_carries_its_label(operator: Cluster, make: Make) -> None:
    made = make("ours", OURS)
    what = f"{made['kind']}/ours"
    operator.create(made)
    allowed(patched(operator, what, {"metadata": {"annotations": {"a": "b"}}}, "-n", SHOP))
    allowed(operator.kubectl("delete", made["kind"], "ours", "-n", SHOP, check=False))


@pytest.mark.parametrize("make", [secret, configmap])
@pytest.mark.parametrize("labels", [{}, {"anchorline.dev/managed": "false"}])
def test_operator_may_not_create_without_its_label(operator: Cluster, make: Make, labels: dict[str, str]) -> None:
    done = operator.create(make("unmarked", labels), check=False)
    refused(done, "anchorline-operator-objects", "may only write")


@pytest.mark.parametrize("make", [secret, configmap])
def test_operator_may_not_take_its_label_off(operator: Cluster, make: Make) -> None:
    made = make("stays-ours", OURS)
    operator.create(made)
    done = patched(operator, f"{made['kind']}/stays-ours", {"metadata": {"labels": None}}, "-n", SHOP)
    refused(done, "anchorline-operator-objects", "may not take it off")


@pytest.mark.parametrize("make", [secret, configmap])
def test_operator_may_not_touch_what_is_not_ours(admin: Cluster, operator: Cluster, make: Make) -> None:
    made = make("foreign")
    kind = made["kind"]
    admin.create(made)
    in_shop = ("-n", SHOP)
    for done in (
        patched(operator, f"{kind}/foreign", {"metadata": {"annotations": {"a": "b"}}}, *in_shop),
        patched(operator, f"{kind}/foreign", {"metadata": {"labels": OURS}}, *in_shop),
        operator.kubectl("delete", kind, "foreign", *in_shop, check=False),
        operator.kubectl("delete", "--raw", f"/api/v1/namespaces/{SHOP}/{kind.lower()}s", check=False),
    ):
        refused(done, "anchorline-operator-objects", "belongs to somebody else")
    assert admin.get(kind, "foreign", *in_shop)["metadata"].get("labels", {}) == {}


@pytest.mark.parametrize("kind", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"])
def test_operator_may_not_make_credentials(operator: Cluster, kind: str) -> None:
    done = operator.create(secret("token", OURS, kind), check=False)
    refused(done, "anchorline-operator-objects", "turns into credentials")


# anchorline-trust-stores


def test_operator_may_change_and_delete_a_trust_store(operator: Cluster, store: str) -> None:
    allowed(patched(operator, f"configmap/{store}", {"data": {"ca-bundle.crt": "new"}}, "-n", SHOP))
    allowed(operator.kubectl("delete", "configmap", store, "-n", SHOP, check=False))


@pytest.mark.parametrize("user", [None, WEBHOOK, "system:serviceaccount:kube-system:generic-garbage-collector"])
def test_nobody_else_may_delete_a_trust_store(admin: Cluster, store: str, user: str | None) -> None:
    everybody = ("clusterrolebinding", "anchorline-test-others")
    admin.kubectl("create", *everybody, "--clusterrole=cluster-admin", f"--user={user or 'nobody'}")
    somebody = admin.become(user) if user else admin
    done = somebody.kubectl("delete", "configmap", store, "-n", SHOP, check=False)
    admin.kubectl("delete", *everybody)
    refused(done, "anchorline-trust-stores", f"remove the annotation anchorline.dev/trust from the namespace {SHOP}")
    assert "protectTrustStores=false" in done.stderr


@pytest.mark.parametrize(
    "patch",
    [
        {"data": {"ca-bundle.crt": "stranger"}},
        {"data": {"more": "x"}},
        {"binaryData": {"more": "eA=="}},
        {"immutable": True},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"labels": None}},
        {"metadata": {"labels": {"anchorline.dev/managed": None}}},
        {"metadata": {"labels": {"anchorline.dev/role": "leaf"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.org/never"]}},
        {"metadata": {"ownerReferences": [OWNER]}},
    ],
)
def test_nobody_else_may_change_a_trust_store(admin: Cluster, store: str, patch: Object) -> None:
    done = patched(admin, f"configmap/{store}", patch, "-n", SHOP)
    refused(done, "anchorline-trust-stores", "only its operator may change or delete it")


def test_deleting_all_configmaps_of_a_namespace_leaves_the_trust_store(admin: Cluster, store: str) -> None:
    done = admin.kubectl("delete", "--raw", f"/api/v1/namespaces/{SHOP}/configmaps", check=False)
    refused(done, "anchorline-trust-stores", "trust store of Anchorline")
    assert admin.get("configmap", store, "-n", SHOP)["data"]


def test_writing_a_trust_store_back_as_it_was_passes(admin: Cluster, store: str) -> None:
    found = admin.get("configmap", store, "-n", SHOP)
    found["metadata"].pop("managedFields", None)
    allowed(admin.kubectl("replace", "-f", "-", stdin=json.dumps(found), check=False))


@pytest.mark.parametrize("labels", [{}, OURS, {"anchorline.dev/role": "trust-store"}])
def test_other_configmaps_are_not_protected(admin: Cluster, labels: dict[str, str]) -> None:
    admin.create(configmap("not-a-store", labels))
    allowed(admin.kubectl("label", "configmap", "not-a-store", "a=b", "-n", SHOP, check=False))
    allowed(admin.kubectl("delete", "configmap", "not-a-store", "-n", SHOP, check=False))


def test_a_deletion_that_the_operator_began_can_be_finished(admin: Cluster, operator: Cluster) -> None:
    held = trust_store("held", SHOP)
    held["metadata"]["finalizers"] = ["example.org/later"]
    operator.create(held)
    operator.kubectl("delete", "configmap", "held", "-n", SHOP, "--wait=false")
    body = json.dumps({"metadata": {"finalizers": None}})
    allowed(admin.kubectl("patch", "configmap", "held", "-n", SHOP, "--type=merge", "-p", body, check=False))
    admin.kubectl("wait", "configmap/held", "-n", SHOP, "--for=delete", "--timeout=30s")


def test_a_namespace_that_is_deleted_takes_its_trust_store_along(admin: Cluster, operator: Cluster) -> None:
    name = "policies-leaving"
    admin.create(namespace(name, {}))
    held = trust_store("held", name)
    held["metadata"]["finalizers"] = ["example.org/later"]
    operator.create(trust_store("anchorline-trust", name), held)
    admin.kubectl("delete", "namespace", name, "--wait=false")
    admin.kubectl("wait", "configmap/anchorline-trust", "-n", name, "--for=delete", "--timeout=60s")
    # The second one keeps the namespace terminating: there, not only the namespace controller may.
    allowed(admin.kubectl("delete", "configmap", "held", "-n", name, "--wait=false", check=False))
    body = json.dumps({"metadata": {"finalizers": None}})
    admin.kubectl("patch", "configmap", "held", "-n", name, "--type=merge", "-p", body)
    admin.kubectl("wait", f"namespace/{name}", "--for=delete", "--timeout=60s")
