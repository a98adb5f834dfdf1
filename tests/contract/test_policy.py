"""Who may have which names, on a real API server: refused with a sentence, granted by the PrivateCA alone (P7)."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.conftest import Scene, serial, verified
from tests.support.operator import Object, Operator, awaited

from anchorline.plan.secret_template import ANNOTATION_BYTES

pytestmark = pytest.mark.contract


@pytest.mark.parametrize(
    ("asked", "named", "rule"),
    [
        ({"dnsNames": ["web.another.svc"]}, "DNS name web.another.svc", "spec.policy.dnsNames"),
        ({"dnsNames": ["web"]}, "DNS name web ", "spec.policy.dnsNames"),
        ({"dnsNames": ["shop.acme.example"]}, "DNS name shop.acme.example", "spec.policy.dnsNames"),
        ({"dnsNames": ["*.another.svc"]}, "DNS name *.another.svc", "spec.policy.dnsNames"),
        ({"dnsNames": None, "ipAddresses": ["10.96.0.1"]}, "IP address 10.96.0.1", "spec.policy.ipRanges"),
        ({"dnsNames": None, "uris": ["spiffe://a/b"]}, "URI spiffe://a/b", "spec.policy.uris"),
        ({"dnsNames": None, "emailAddresses": ["a@b.example"]}, "a@b.example", "spec.policy.emailAddresses"),
        ({"commonName": "Somebody"}, "common name Somebody", "spec.policy.commonNames"),
    ],
)
def test_a_name_that_is_not_the_namespaces_is_refused(scene: Scene, asked: Object, named: str, rule: str) -> None:
    ca = scene.ca()
    scene.certificate(ca, **asked)
    message = scene.refused("Certificate", "web", "NameNotAllowed", named, rule, f"PrivateCA {ca}")
    assert scene.event("web", "NameNotAllowed") == message
    assert scene.api.get("Secret", "web-tls", scene.name) is None


@pytest.mark.parametrize(
    ("policy", "asked", "words"),
    [
        ({"usages": ["server auth"]}, {"usages": ["client auth"]}, 'usage "client auth" is not granted'),
        (
            {"keyAlgorithms": ["ECDSA"]},
            {"privateKey": {"algorithm": "RSA"}},
            "key algorithm RSA is not granted",
        ),
        ({"maxDuration": "24h"}, {"duration": "25h"}, "is longer than"),
        (
            {"namespaceSelector": {"matchLabels": {"zone": "edge"}}},
            {},
            "policy.namespaceSelector does not match its labels",
        ),
    ],
)
def test_what_the_policy_does_not_grant_is_refused(scene: Scene, policy: Object, asked: Object, words: str) -> None:
    ca = scene.ca(policy=policy)
    scene.certificate(ca, **asked)
    scene.refused("Certificate", "web", "PolicyDenied", words, ca)


@pytest.mark.parametrize(
    "name", ["web.{}.svc", "web.{}.svc.cluster.local", "pod-0.web.{}.svc.cluster.local", "*.web.{}.svc"]
)
def test_names_under_its_own_services_are_granted(scene: Scene, tmp_path: Path, name: str) -> None:
    secret = scene.issued(scene.ca(), dnsNames=[name.format(scene.name)])
    assert verified(secret, tmp_path).endswith(": OK\n")


def test_a_policy_that_changes_grants_without_touching_the_certificate(scene: Scene, tmp_path: Path) -> None:
    ca = scene.ca()
    scene.certificate(ca, dnsNames=["shop.acme.example"])
    scene.refused("Certificate", "web", "NameNotAllowed")
    before = scene.resource("Certificate", "web")["metadata"]["generation"]
    scene.put_ca(ca, policy={"dnsNames": ["shop.acme.example"]})
    scene.ready("Certificate", "web")
    assert scene.resource("Certificate", "web")["metadata"]["generation"] == before
    assert verified(scene.secret(), tmp_path).endswith(": OK\n")


def test_a_namespace_that_gets_the_label_is_granted(scene: Scene) -> None:
    ca = scene.ca(policy={"namespaceSelector": {"matchLabels": {"zone": "edge"}}})
    scene.certificate(ca)
    scene.refused("Certificate", "web", "PolicyDenied")
    scene.api.merge("Namespace", scene.name, body={"metadata": {"labels": {"zone": "edge"}}})
    scene.ready("Certificate", "web")


def test_a_policy_that_shrinks_refuses_and_leaves_what_was_issued(scene: Scene, operator: Operator) -> None:
    ca = scene.ca(policy={"dnsNames": ["shop.acme.example"]})
    secret = scene.issued(ca, dnsNames=["shop.acme.example"])
    scene.put_ca(ca, policy={})
    awaited(lambda: scene.events("web", "NameNotAllowed"), "the refusal")
    operator.idle()
    assert serial(scene.secret()) == serial(secret)


def test_constraints_that_are_narrower_than_the_policy_are_said(scene: Scene) -> None:
    ca = scene.ca(policy={"dnsNames": ["shop.acme.example"]}, nameConstraints={"permittedDNSDomains": ["svc"]})
    scene.certificate(ca, dnsNames=["shop.acme.example"])
    scene.refused("Certificate", "web", "ConstraintViolation", "shop.acme.example", "every client would refuse")


def test_a_hundred_names_that_are_refused_are_a_message_that_a_condition_can_hold(scene: Scene) -> None:
    label = "a" * 60
    foreign = [f"{label}{number:02}.{label}.{label}.{label}.svc" for number in range(100)]
    scene.certificate(scene.ca(), dnsNames=foreign)
    message = scene.refused("Certificate", "web", "NameNotAllowed", foreign[0], foreign[9], "and 90 more")
    assert foreign[10] not in message


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"labels": {"bad key!!": "x"}}, "secretTemplate.labels: 'bad key!!' is not a label's key; use"),
        ({"labels": {"a": "x y"}}, "secretTemplate.labels: 'x y' is not a label's value; use"),
        ({"annotations": {"a b": ""}}, "secretTemplate.annotations: 'a b' is not an annotation's key; use"),
        ({"annotations": {"a": "x" * 2**18}}, "secretTemplate.annotations have 262145 bytes and may have"),
    ],
)
def test_what_no_secret_can_carry_is_named(scene: Scene, template: Object, words: str) -> None:
    scene.certificate(scene.ca(), secretTemplate=template)
    scene.refused("Certificate", "web", "InvalidSpec", words)


def test_what_a_secret_may_carry_is_what_the_api_server_takes(scene: Scene) -> None:
    key, room = "Ab-c.d_" + "x" * 56, "x" * (ANNOTATION_BYTES - len("Example.COM/a"))
    template = {"labels": {f"example.com/{key}": key, "a": ""}, "annotations": {"Example.COM/a": room}}
    secret = scene.issued(scene.ca(), secretTemplate=template)
    assert secret["metadata"]["labels"].items() >= template["labels"].items()
    assert secret["metadata"]["annotations"]["Example.COM/a"] == room


def tried(scene: Scene) -> str:
    """What the API server says against one more Secret in this test's namespace, "" for nothing."""
    probe = ("create", "secret", "generic", "probe", "-n", scene.name, "--dry-run=server")
    return scene.site.plane.kubectl(*probe, check=False).stderr


@pytest.fixture
def forbidden(scene: Scene) -> Iterator[str]:
    """A policy of the cluster that lets nobody create Secrets in this test's namespace; its name."""
    name, plane = f"forbid-{scene.name}", scene.site.plane
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": scene.name}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "false", "message": "no Secrets on Sundays"}],
    }
    kinds = {"Policy": spec, "PolicyBinding": {"policyName": name, "validationActions": ["Deny"]}}
    for kind, body in kinds.items():
        head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"ValidatingAdmission{kind}"}
        plane.kubectl("create", "-f", "-", stdin=json.dumps({**head, "metadata": {"name": name}, "spec": body}))
    awaited(lambda: "on Sundays" in tried(scene), "the policy is in force")
    yield name
    plane.kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", name, "--ignore-not-found")


def test_what_the_cluster_forbids_is_said_on_the_certificate(scene: Scene, forbidden: str, operator: Operator) -> None:
    ca = scene.ca()
    scene.certificate(ca)
    denier = f"ValidatingAdmissionPolicy '{forbidden}' with binding '{forbidden}' denied request"
    sentence = scene.refused("Certificate", "web", "Forbidden", f"cannot create Secret {scene.name}/web-tls: ", denier)
    assert scene.event("web", "Forbidden") == sentence
    operator.idle()
    failed = [line for line in operator.log.splitlines() if '"cannot finish"' in line and sentence in line]
    assert len(failed) == 1, "then it is told as the status, and tried again in a minute"
    scene.site.plane.kubectl("delete", "validatingadmissionpolicybinding", forbidden)
    awaited(lambda: not tried(scene), "the policy is not in force any more")
    # Nobody tells of policies: it is tried once a minute, or when the Certificate changes.
    scene.certificate(ca, duration="24h")
    scene.ready("Certificate", "web")
    assert len(scene.events("web", "Forbidden")) == 1


def test_a_ca_that_does_not_exist_is_named_and_found_when_it_comes(scene: Scene) -> None:
    name = f"late-{scene.name}"
    scene.certificate(name)
    scene.refused("Certificate", "web", "AuthorityNotFound", name, "create it")
    scene.put_ca(name)
    scene.ready("Certificate", "web")
