"""Single statements about the rendered objects: exact RBAC rules, the webhook's configuration, hardened pods, names."""

import copy
from typing import Any

import pytest
from tests.chart import cluster

from anchorline.api import naming

OBJECTS = cluster.rendered("--set=crds.enabled=false")
PROCESSES = ("anchorline-operator", "anchorline-webhook")
READ = ["get", "list", "watch"]
WRITE = ["create", "update", "delete"]


def rule(groups: str, resources: list[str], verbs: list[str], *names: str) -> dict[str, list[str]]:
    """One RBAC rule."""
    narrowed = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [groups], "resources": resources, **narrowed, "verbs": verbs}


RULES = {
    ("ClusterRole", "anchorline-operator"): [
        rule(naming.GROUP, ["privatecas", "certificates"], READ),
        rule(naming.GROUP, ["privatecas/status"], ["patch"]),
        rule(naming.GROUP, ["certificates/status"], ["update"]),
        rule("", ["secrets", "configmaps"], READ + WRITE),
        rule("", ["namespaces"], [*READ, "patch"]),
        rule("", ["pods"], ["list"]),
        rule("events.k8s.io", ["events"], ["create", "list"]),
    ],
    ("Role", "anchorline-operator"): [
        rule("coordination.k8s.io", ["leases"], ["create"]),
        rule("coordination.k8s.io", ["leases"], ["get", "update"], naming.LEASE),
    ],
    ("ClusterRole", "anchorline-webhook"): [
        rule(
            "admissionregistration.k8s.io",
            ["mutatingwebhookconfigurations"],
            ["get", "patch"],
            naming.WEBHOOK_CONFIGURATION,
        ),
    ],
    ("Role", "anchorline-webhook"): [
        rule("", ["secrets"], ["create"]),
        rule("", ["secrets"], ["get", "update"], naming.WEBHOOK_SECRET),
    ],
}


# What Kubernetes adds to its own roles for users; bound to nobody by us.
USER_RULES = {
    ("ClusterRole", "anchorline-view"): [rule(naming.GROUP, ["certificates", "privatecas"], READ)],
    ("ClusterRole", "anchorline-edit"): [
        rule(naming.GROUP, ["certificates"], ["create", "update", "patch", "delete", "deletecollection"])
    ],
}


def rules_of(objects: list[dict[str, Any]]) -> dict[tuple[str, str], list[Any]]:
    """The rules of all roles, by kind and name."""
    roles = [o for o in objects if o["kind"] in {"Role", "ClusterRole"}]
    return {(o["kind"], o["metadata"]["name"]): o["rules"] for o in roles}


def test_rbac_is_exactly_this() -> None:
    assert rules_of(OBJECTS) == RULES | USER_RULES


def test_rights_over_pods_and_workloads_come_only_with_their_options() -> None:
    options = ("--set=rotation.nudgePods=true", "--set=rotation.restartWorkloads=true")
    rules = rules_of(cluster.rendered("--set=crds.enabled=false", *options))["ClusterRole", "anchorline-operator"]
    added = [each for each in rules if each not in RULES["ClusterRole", "anchorline-operator"]]
    assert added == [
        rule("", ["pods"], ["list", "patch"]),
        rule("apps", ["deployments", "statefulsets", "daemonsets"], ["list", "patch"]),
    ]


def test_each_role_is_bound_to_its_own_account_alone() -> None:
    bindings = [o for o in OBJECTS if o["kind"].endswith("RoleBinding")]
    assert len(bindings) == len(RULES)
    for binding in bindings:
        name = binding["metadata"]["name"]
        assert binding["roleRef"]["kind"] == binding["kind"].removesuffix("Binding")
        assert binding["roleRef"]["name"] == name
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": cluster.NAMESPACE}]


def hooks(*args: str, namespace: str = cluster.NAMESPACE) -> dict[str, dict[str, Any]]:
    """Return the webhooks of the rendered configuration, by name."""
    objects = cluster.rendered("--set=crds.enabled=false", *args, namespace=namespace)
    found = cluster.one(objects, "MutatingWebhookConfiguration", naming.WEBHOOK_CONFIGURATION)["webhooks"]
    return {each["name"]: each for each in found}


def hook(*args: str, namespace: str = cluster.NAMESPACE) -> dict[str, Any]:
    """Return the webhook for namespaces that ask for no formats."""
    return hooks(*args, namespace=namespace)[naming.webhook_name(())]


@pytest.mark.parametrize("url", ["", "https://127.0.0.1:9443/mutate", "https://127.0.0.1:9443/mutate/"])
def test_each_value_of_the_label_has_a_webhook_and_they_differ_in_label_and_path_alone(url: str) -> None:
    found = hooks(*((f"--set=webhook.url={url}",) if url else ()))
    plain = found[naming.webhook_name(())]
    assert list(found) == [naming.webhook_name(formats) for formats in naming.TRUST_LABELS.values()]
    for label, formats in naming.TRUST_LABELS.items():
        path = naming.webhook_path(formats)
        same = copy.deepcopy(plain)
        same["name"] = naming.webhook_name(formats)
        same["namespaceSelector"]["matchLabels"] = {naming.TRUST: label}
        if url:
            same["clientConfig"] = {"url": f"https://127.0.0.1:9443{path}"}
        else:
            same["clientConfig"]["service"]["path"] = path
        assert found[same["name"]] == same


def test_webhook_configuration_can_never_block_a_pod() -> None:
    entry = hook()
    assert (entry["failurePolicy"], entry["timeoutSeconds"], entry["sideEffects"]) == ("Ignore", 5, "None")
    assert entry["reinvocationPolicy"] == "IfNeeded"
    assert "caBundle" not in entry["clientConfig"]


@pytest.mark.parametrize(("namespace", "never"), [("x", ["kube-system", "x"]), ("kube-system", ["kube-system"])])
def test_webhook_selects_our_label_and_never_its_own_namespace(namespace: str, never: list[str]) -> None:
    selector = hook(namespace=namespace)["namespaceSelector"]
    assert selector["matchLabels"] == {naming.TRUST: naming.TRUST_ENABLED}
    assert selector["matchExpressions"] == [
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": never}
    ]


def test_webhook_by_url_has_no_service() -> None:
    url = "https://127.0.0.1:9443/mutate"
    assert hook(f"--set=webhook.url={url}")["clientConfig"] == {"url": url}
    objects = cluster.rendered("--set=crds.enabled=false", f"--set=webhook.url={url}")
    assert not [o for o in objects if o["kind"] == "Service"]


def test_without_deployments_all_else_is_there() -> None:
    objects = cluster.rendered("--set=crds.enabled=false", "--set=deployments.enabled=false")
    gone = {"Deployment", "PodDisruptionBudget"}
    assert [o["metadata"]["name"] for o in objects] == [o["metadata"]["name"] for o in OBJECTS if o["kind"] not in gone]


def test_a_single_webhook_has_no_disruption_budget() -> None:
    objects = cluster.rendered("--set=crds.enabled=false", "--set=webhook.replicas=1")
    assert not [o for o in objects if o["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize("name", PROCESSES)
def test_pods_are_hardened(name: str) -> None:
    pod = cluster.one(OBJECTS, "Deployment", name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == name
    assert pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", PROCESSES)
def test_selectors_find_the_pods_of_their_own_process(name: str) -> None:
    deployment = cluster.one(OBJECTS, "Deployment", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    others = cluster.one(OBJECTS, "Deployment", next(p for p in PROCESSES if p != name))
    assert not others["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_policies_deny_and_fail_closed() -> None:
    policies = [o for o in OBJECTS if o["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [o for o in OBJECTS if o["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert len(policies) == len(bindings) == 3
    assert {p["spec"]["failurePolicy"] for p in policies} == {"Fail"}
    assert [b["spec"] for b in bindings] == [
        {"policyName": p["metadata"]["name"], "validationActions": ["Deny"]} for p in policies
    ]
    assert all(v["message"] and v["reason"] == "Forbidden" for p in policies for v in p["spec"]["validations"])
