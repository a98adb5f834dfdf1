"""Injection, case by case: what is added, what is respected, and which pods are left alone."""

import base64
import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from anchorline.api import naming
from anchorline.plan.injection import DEFAULT, VARIABLES, Injection, Outcome, decide, injection, outcome

GOLDEN = Path(__file__).parents[2] / "golden" / "injection"
FILE = "/etc/anchorline/trust/ca-bundle.crt"
BOTH = Injection(formats=("jks", "wgetrc"))
JAVA = "-Djavax.net.ssl.trustStore=/etc/anchorline/trust/truststore.jks -Djavax.net.ssl.trustStoreType=JKS"


def patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """The `add` and `replace` of RFC 6902, the only operations that we use."""
    document = copy.deepcopy(document)
    for operation in operations:
        assert operation["op"] in {"add", "replace"}
        *parents, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].split("/")[1:]]
        place = document
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        if isinstance(place, list):
            assert last == "-"
            place.append(operation["value"])
        else:
            assert operation["op"] == "add" or last in place
            place[last] = operation["value"]
    return document


def a_pod(*, annotations: Any = None, containers: Any = None, **body: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "annotations": annotations or {}},
        "spec": {"containers": containers or [{"name": "main", "image": "web:1"}], **body},
    }


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def after(pod: dict[str, Any], spec: Injection = DEFAULT) -> dict[str, Any]:
    return patched(pod, injection(pod, spec=spec))


def java_after(*own: dict[str, Any], **container: Any) -> list[Any]:
    """The container's JAVA_TOOL_OPTIONS, after these were in its environment."""
    env = [{"name": "JAVA_TOOL_OPTIONS", **each} for each in own]
    pod = after(a_pod(containers=[{"name": "main", "env": env, **container}]), BOTH)
    assert injection(pod, spec=BOTH) == [], "idempotent"
    entries = pod["spec"]["containers"][0]["env"]
    return [entry.get("value", entry) for entry in entries if entry["name"] == "JAVA_TOOL_OPTIONS"]


def test_the_whole_directory_is_mounted_read_only_and_optional() -> None:
    pod = after(a_pod())
    volume = {
        "name": "anchorline-trust",
        "configMap": {"name": "anchorline-trust", "defaultMode": 0o444, "optional": True},
    }
    assert pod["spec"]["volumes"] == [volume]
    mount = {"name": "anchorline-trust", "mountPath": "/etc/anchorline/trust", "readOnly": True}
    assert pod["spec"]["containers"][0]["volumeMounts"] == [mount]


def test_all_eleven_variables_name_the_full_bundle() -> None:
    assert len(VARIABLES) == 11
    assert variables(after(a_pod())["spec"]["containers"][0]) == dict.fromkeys(VARIABLES, FILE)


def test_init_containers_and_sidecars_too_but_never_ephemeral_ones() -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always"}
    pod = a_pod(initContainers=[{"name": "init"}, sidecar], ephemeralContainers=[{"name": "debug"}])
    body = after(pod)["spec"]
    assert all(variables(container) == dict.fromkeys(VARIABLES, FILE) for container in body["initContainers"])
    assert body["ephemeralContainers"] == [{"name": "debug"}]


@pytest.mark.parametrize(
    "own", [{"value": "/mine.crt"}, {"valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}, {}]
)
def test_what_the_container_sets_itself_stays(own: dict[str, Any]) -> None:
    entry = {"name": "SSL_CERT_FILE", **own}
    container = after(a_pod(containers=[{"name": "main", "env": [entry]}]))["spec"]["containers"][0]
    assert container["env"][0] == entry
    assert [e["name"] for e in container["env"]].count("SSL_CERT_FILE") == 1
    assert len(container["env"]) == len(VARIABLES)


def test_a_mount_of_the_trust_store_elsewhere_is_kept_and_the_variables_follow_it() -> None:
    mount = {"name": "anchorline-trust", "mountPath": "/certs/"}
    container = after(a_pod(containers=[{"name": "main", "volumeMounts": [mount]}]))["spec"]["containers"][0]
    assert container["volumeMounts"] == [mount]
    assert variables(container)["SSL_CERT_FILE"] == "/certs/ca-bundle.crt"


def test_a_users_own_volume_of_the_trust_store_is_used() -> None:
    volume = {"name": "mine", "configMap": {"name": "anchorline-trust"}}
    mount = {"name": "mine", "mountPath": "/etc/anchorline/trust"}
    pod = after(a_pod(containers=[{"name": "main", "volumeMounts": [mount]}], volumes=[volume]))
    assert pod["spec"]["volumes"] == [volume]
    assert pod["spec"]["containers"][0]["volumeMounts"] == [mount]
    assert variables(pod["spec"]["containers"][0])["PIP_CERT"] == FILE


def test_a_subpath_mount_never_updates_so_the_directory_is_mounted_beside_it() -> None:
    mount = {"name": "anchorline-trust", "mountPath": "/one.crt", "subPath": "ca-bundle.crt"}
    pod = after(a_pod(containers=[{"name": "main", "volumeMounts": [mount]}]))
    assert [m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]] == ["/one.crt", naming.TRUST_MOUNT]


@pytest.mark.parametrize(
    "taken",
    [
        {"volumeMounts": [{"name": "data", "mountPath": "/etc/anchorline/trust/"}]},
        {"volumeDevices": [{"name": "data", "devicePath": "/etc/anchorline/trust"}]},
    ],
)
def test_a_container_with_something_else_at_the_path_is_left_alone_and_the_others_are_not(taken: Any) -> None:
    odd = {"name": "odd", **taken}
    pod = after(a_pod(containers=[odd, {"name": "main"}]))
    assert pod["spec"]["containers"][0] == odd
    assert "env" in pod["spec"]["containers"][1]
    assert outcome(a_pod(containers=[odd])) is Outcome.FOREIGN_MOUNT
    assert injection(a_pod(containers=[odd])) == []


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "anchorline-trust", "emptyDir": {}},
        {"name": "anchorline-trust", "configMap": {"name": "other"}},
        {"name": "anchorline-trust", "configMap": {"name": "anchorline-trust", "items": [{"key": "a", "path": "b"}]}},
    ],
)
def test_a_volume_with_our_name_that_is_something_else_stops_the_injection(volume: Any) -> None:
    pod = a_pod(volumes=[volume])
    assert (outcome(pod), injection(pod)) == (Outcome.FOREIGN_VOLUME, [])


@pytest.mark.parametrize("value", ["false", "False", " FALSE "])
def test_a_pod_opts_out_by_annotation(value: str) -> None:
    assert outcome(a_pod(annotations={"anchorline.dev/inject": value})) is Outcome.OPTED_OUT
    assert outcome(a_pod(annotations={"anchorline.dev/inject": "true"})) is Outcome.INJECTED


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pod(os={"name": "windows"}), Outcome.WINDOWS),
        (a_pod(nodeSelector={"kubernetes.io/os": "windows"}), Outcome.WINDOWS),
        (a_pod(os={"name": "linux"}), Outcome.INJECTED),
        (a_pod(annotations={"kubernetes.io/config.mirror": "1"}), Outcome.MIRROR),
        ({"metadata": {"ownerReferences": [{"kind": "Node"}]}, "spec": {"containers": [{}]}}, Outcome.MIRROR),
        ({"metadata": {"ownerReferences": [{"kind": "Job"}]}, "spec": {"containers": [{}]}}, Outcome.INJECTED),
    ],
)
def test_windows_and_mirror_pods_are_left_alone(pod: Any, expected: Outcome) -> None:
    assert outcome(pod) is expected


@pytest.mark.parametrize(
    "pod",
    [
        None,
        [],
        {},
        {"metadata": {}, "spec": {}},
        {"metadata": {}, "spec": {"containers": []}},
        {"metadata": {}, "spec": {"containers": ["main"]}},
        {"metadata": {}, "spec": {"containers": {}}},
        {"metadata": {"labels": []}, "spec": {"containers": [{}]}},
        {"metadata": {}, "spec": {"containers": [{"env": "x"}]}},
        {"metadata": {}, "spec": {"containers": [{"volumeMounts": [{"name": "anchorline-trust"}]}]}},
    ],
)
def test_what_is_not_a_pod_is_left_alone(pod: Any) -> None:
    assert (outcome(pod), injection(pod)) == (Outcome.MALFORMED, [])


def test_the_label_is_added_once_and_corrected() -> None:
    pod = a_pod()
    assert after(pod)["metadata"]["labels"] == {"anchorline.dev/injected": "true"}
    pod["metadata"]["labels"] = {"app": "web", "anchorline.dev/injected": "false"}
    assert after(pod)["metadata"]["labels"] == {"app": "web", "anchorline.dev/injected": "true"}
    assert outcome(after(pod)) is Outcome.ALREADY


def test_a_container_that_came_after_us_is_injected_the_second_time() -> None:
    pod = after(a_pod())
    pod["spec"]["containers"].append({"name": "late", "env": [{"name": "A", "value": "b"}]})
    operations = injection(pod)
    assert {o["path"] for o in operations} == {"/spec/containers/1/volumeMounts", "/spec/containers/1/env/-"}
    assert injection(patched(pod, operations)) == []


def test_formats_add_their_variables_to_the_others() -> None:
    pod = after(a_pod(initContainers=[{"name": "init"}]), BOTH)
    more = {"JAVA_TOOL_OPTIONS": JAVA, "WGETRC": "/etc/anchorline/trust/wgetrc"}
    for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
        assert variables(container) == dict.fromkeys(VARIABLES, FILE) | more
    assert injection(pod, spec=BOTH) == []


@pytest.mark.parametrize(("formats", "name"), [(("jks",), "JAVA_TOOL_OPTIONS"), (("wgetrc",), "WGETRC")])
def test_each_format_brings_its_own_variable_alone(formats: tuple[str, ...], name: str) -> None:
    (container,) = after(a_pod(), Injection(formats=formats))["spec"]["containers"]
    assert set(variables(container)) == {*VARIABLES, name}


def test_java_options_are_appended_to() -> None:
    assert java_after({"value": "-Xmx1g"}) == [f"-Xmx1g {JAVA}"]


@pytest.mark.parametrize("own", [{}, {"value": ""}, {"value": None}])
def test_java_options_that_are_empty_become_ours(own: dict[str, Any]) -> None:
    assert java_after(own) == [JAVA]


def test_of_two_java_options_the_last_one_counts() -> None:
    assert java_after({"value": "-Da=1"}, {"value": "-Da=2"}) == ["-Da=1", f"-Da=2 {JAVA}"]


@pytest.mark.parametrize("more", ["", "Password=x", "Type=PKCS12"])
def test_java_options_that_say_where_trust_comes_from_stay(more: str) -> None:
    own = f"-Xmx1g -Djavax.net.ssl.trustStore{more}=/mine"
    assert java_after({"value": own}) == [own]


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_java_options_from_elsewhere_stay_and_that_is_said(kind: str) -> None:
    entry = {"name": "JAVA_TOOL_OPTIONS", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}
    pod = a_pod(**{kind: [{"name": "main", "env": [entry]}]})
    decision = decide(pod, spec=BOTH)
    assert decision.outcome is Outcome.INJECTED
    assert "JAVA_TOOL_OPTIONS is set by valueFrom" in decision.warning
    assert patched(pod, decision.operations)["spec"][kind][0]["env"][0] == entry
    assert decide(pod).warning == ""


def test_java_options_of_another_shape_are_no_pod() -> None:
    env = [{"name": "JAVA_TOOL_OPTIONS", "value": 1}]
    assert decide(a_pod(containers=[{"name": "main", "env": env}]), spec=BOTH).outcome is Outcome.MALFORMED


def test_a_mount_elsewhere_gives_java_its_place_and_wget_nothing() -> None:
    mount = {"name": "anchorline-trust", "mountPath": "/certs"}
    container = after(a_pod(containers=[{"name": "main", "volumeMounts": [mount]}]), BOTH)["spec"]["containers"][0]
    assert variables(container)["JAVA_TOOL_OPTIONS"] == JAVA.replace("/etc/anchorline/trust", "/certs")
    assert "WGETRC" not in variables(container)


def test_a_path_that_java_would_stumble_over_is_not_given_to_it() -> None:
    mount = {"name": "anchorline-trust", "mountPath": "/my certs"}
    container = {"name": "main", "volumeMounts": [mount], "env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g"}]}
    found = variables(after(a_pod(containers=[container]), BOTH)["spec"]["containers"][0])
    assert found["JAVA_TOOL_OPTIONS"] == "-Xmx1g"
    assert found["SSL_CERT_FILE"] == "/my certs/ca-bundle.crt"
    assert java_after(volumeMounts=[mount]) == []


def test_an_own_wgetrc_stays() -> None:
    container = {"name": "main", "env": [{"name": "WGETRC", "value": "/mine"}]}
    assert variables(after(a_pod(containers=[container]), BOTH)["spec"]["containers"][0])["WGETRC"] == "/mine"


@pytest.mark.parametrize("source", sorted(GOLDEN.glob("*.pod.json")), ids=lambda p: p.name)
def test_golden(source: Path) -> None:
    result = json.dumps(after(json.loads(source.read_text())), indent=2) + "\n"
    expected = source.with_name(source.name.replace(".pod.json", ".patched.json"))
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(result)
    assert result == expected.read_text()


def test_pods_of_one_template_share_a_decision() -> None:
    one, other = a_pod(), a_pod()
    other["metadata"]["name"] = "web-2"
    assert decide(one) is decide(other)
    assert decide(one) is not decide(one, spec=BOTH)
    assert json.loads(base64.b64decode(decide(one).patch)) == injection(one)


@pytest.mark.parametrize(
    "containers",
    [
        [{"name": f"c-{number}"} for number in range(17)],
        [{"name": "main", "volumeMounts": [{"name": "anchorline-trust", "mountPath": "/" + "a" * 300}]}],
        [{"name": "main", "env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Dlong=" + "a" * 300}]}],
    ],
)
def test_what_is_made_for_an_extraordinary_pod_is_not_kept(containers: list[Any]) -> None:
    pod = a_pod(containers=containers)
    assert decide(pod, spec=BOTH) is not decide(pod, spec=BOTH)
    assert decide(pod, spec=BOTH).operations == decide(pod, spec=BOTH).operations != ()


def test_a_mount_that_no_kernel_makes_is_none() -> None:
    mounts = [{"name": "anchorline-trust", "mountPath": "/" + "a" * 4096}]
    (container,) = after(a_pod(containers=[{"name": "main", "volumeMounts": mounts}]))["spec"]["containers"]
    assert container["volumeMounts"][-1]["mountPath"] == "/etc/anchorline/trust"
    assert variables(container)["SSL_CERT_FILE"] == FILE
