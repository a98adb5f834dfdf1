"""What the chart's two ServiceAccounts may and may not do, as a real API server's authorizer says it."""

from collections.abc import Iterator

import pytest
from tests.chart.cluster import NAMESPACE, OPERATOR, WEBHOOK, Cluster, Object, as_list, installed

from anchorline import lab

pytestmark = pytest.mark.contract

# Verbs, resource[/subresource][.group], namespace ("" is all of them, or none for cluster-scoped), name ("" is any).
Question = tuple[str, str, str, str]
VERBS = "get list watch create update patch delete deletecollection"

OPERATOR_MAY: tuple[Question, ...] = (
    ("get list watch", "privatecas.anchorline.dev", "", ""),
    ("get list watch", "certificates.anchorline.dev", "", ""),
    ("patch", "privatecas/status.anchorline.dev", "", "internal"),
    ("update", "certificates/status.anchorline.dev", "shop", "web"),
    ("get list watch create update delete", "secrets", "", ""),
    ("get list watch create update delete", "configmaps", "", ""),
    ("get list watch patch", "namespaces", "", ""),
    ("list", "pods", "", ""),
    ("create list", "events.events.k8s.io", "", ""),
    ("create", "leases.coordination.k8s.io", NAMESPACE, ""),
    ("get update", "leases.coordination.k8s.io", NAMESPACE, "anchorline-operator"),
)
OPERATOR_MAY_NOT: tuple[Question, ...] = (
    ("create update patch delete deletecollection", "privatecas.anchorline.dev", "", ""),
    ("create update patch delete deletecollection", "certificates.anchorline.dev", "", ""),
    ("get update", "privatecas/status.anchorline.dev", "", ""),
    ("get patch", "certificates/status.anchorline.dev", "", ""),
    ("patch deletecollection", "secrets", "", ""),
    ("patch deletecollection", "configmaps", "", ""),
    ("create update delete deletecollection", "namespaces", "", ""),
    ("update patch", "namespaces/status", "", ""),
    ("update", "namespaces/finalize", "", ""),
    ("get watch create update patch delete", "pods", "", ""),
    ("create get", "pods/exec", "", ""),
    ("create", "pods/eviction", "", ""),
    ("create", "serviceaccounts/token", NAMESPACE, ""),
    ("impersonate", "users", "", ""),
    ("impersonate", "serviceaccounts", "", ""),
    ("get watch update patch delete", "events.events.k8s.io", "", ""),
    ("create", "events", "", ""),
    ("list watch delete patch", "leases.coordination.k8s.io", NAMESPACE, ""),
    ("get update", "leases.coordination.k8s.io", NAMESPACE, "another"),
    ("get create update", "leases.coordination.k8s.io", "kube-system", ""),
    (VERBS, "customresourcedefinitions.apiextensions.k8s.io", "", ""),
    (VERBS, "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "anchorline"),
    (VERBS, "validatingadmissionpolicies.admissionregistration.k8s.io", "", ""),
    (VERBS, "validatingadmissionpolicybindings.admissionregistration.k8s.io", "", ""),
    (f"{VERBS} bind escalate", "clusterroles.rbac.authorization.k8s.io", "", ""),
    (VERBS, "clusterrolebindings.rbac.authorization.k8s.io", "", ""),
    ("get list watch", "nodes", "", ""),
    ("get list watch patch", "deployments.apps", "", ""),
)
WEBHOOK_MAY: tuple[Question, ...] = (
    ("create", "secrets", NAMESPACE, ""),
    ("get update", "secrets", NAMESPACE, "anchorline-webhook-tls"),
    ("get patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "anchorline"),
)
WEBHOOK_MAY_NOT: tuple[Question, ...] = (
    ("list watch patch delete deletecollection", "secrets", NAMESPACE, "anchorline-webhook-tls"),
    ("get update", "secrets", NAMESPACE, "internal-root-1"),
    ("get list watch create update", "secrets", "", ""),
    ("create", "secrets", "shop", ""),
    ("list watch create update delete", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "anchorline"),
    ("get patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io", "", "another"),
    (VERBS, "validatingadmissionpolicies.admissionregistration.k8s.io", "", ""),
    (VERBS, "configmaps", "", ""),
    (VERBS, "namespaces", "", ""),
    (VERBS, "pods", "", ""),
    (VERBS, "privatecas.anchorline.dev", "", ""),
    (VERBS, "certificates.anchorline.dev", "", ""),
    (VERBS, "leases.coordination.k8s.io", NAMESPACE, ""),
    ("create", "serviceaccounts/token", NAMESPACE, ""),
    ("create", "events.events.k8s.io", "", ""),
)


@pytest.fixture(scope="module")
def cluster(plane: lab.Cluster) -> Iterator[Cluster]:
    """Have the chart installed; its roles need no CRDs."""
    with installed(plane, "--set=crds.enabled=false", "--set=deployments.enabled=false") as found:
        yield found


def review(user: str, verb: str, question: Question) -> Object:
    """One question to the authorizer."""
    _, what, namespace, name = question
    resource, _, group = what.partition(".")
    resource, _, subresource = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    account = {"user": user, "groups": ["system:serviceaccounts", "system:authenticated"]}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {**account, "resourceAttributes": {**asked, "namespace": namespace, "name": name}},
    }


def answers(cluster: Cluster, user: str, questions: tuple[Question, ...]) -> dict[str, bool]:
    """Ask everything in one command: question -> allowed."""
    asked = [(verb, question) for question in questions for verb in question[0].split()]
    reviews = as_list(*(review(user, verb, question) for verb, question in asked))
    told = cluster.kubectl("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}', stdin=reviews).stdout.split()
    return {
        f"{verb} {' '.join(question[1:])}": answer == "true"
        for (verb, question), answer in zip(asked, told, strict=True)
    }


@pytest.mark.parametrize(("user", "questions"), [(OPERATOR, OPERATOR_MAY), (WEBHOOK, WEBHOOK_MAY)])
def test_account_may(cluster: Cluster, user: str, questions: tuple[Question, ...]) -> None:
    assert [asked for asked, allowed in answers(cluster, user, questions).items() if not allowed] == []


@pytest.mark.parametrize(("user", "questions"), [(OPERATOR, OPERATOR_MAY_NOT), (WEBHOOK, WEBHOOK_MAY_NOT)])
def test_account_may_not(cluster: Cluster, user: str, questions: tuple[Question, ...]) -> None:
    assert [asked for asked, allowed in answers(cluster, user, questions).items() if allowed] == []
