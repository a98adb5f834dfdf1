"""Injection for any JSON value and any formats: total, idempotent, and it touches nothing else."""

import copy
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from anchorline.api import naming
from anchorline.plan.injection import DEFAULT, Injection, Outcome, decide, injection

BODY = ["containers", "initContainers", "ephemeralContainers", "volumes", "os", "nodeSelector"]
CONTAINER_KEYS = ["env", "volumeMounts", "volumeDevices", "name", "value", "mountPath", "devicePath", "subPath"]
OTHERS = ["metadata", "spec", "labels", "annotations", "ownerReferences", "kind", "configMap", "items"]
KEYS = st.sampled_from(BODY + CONTAINER_KEYS + OTHERS)
OPTIONS = ["JAVA_TOOL_OPTIONS", "WGETRC", "-Djavax.net.ssl.trustStore=/x"]
SPECS = st.sampled_from([Injection(formats=formats) for formats in naming.TRUST_LABELS.values()])
WORDS = st.sampled_from(
    ["anchorline-trust", "/etc/anchorline/trust", "windows", "Node", "SSL_CERT_FILE", *OPTIONS, "x", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=3)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
)
# "~" and "/" in place of a known key would need escapes in the path; only our own label has them.
ALLOWED = re.compile(
    r"/spec/volumes(/-)?|/spec/(init)?[cC]ontainers/\d+/(volumeMounts|env)(/-)?|/metadata/labels(/anchorline\.dev~1injected)?"
)
CHANGED = re.compile(r"/spec/(containers|initContainers)/(\d+)/env/(\d+)/value")


def optional(**values: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


MOUNT = st.fixed_dictionaries({"name": WORDS, "mountPath": WORDS}, optional={"subPath": WORDS})
ENV = st.fixed_dictionaries({"name": WORDS}, optional={"value": WORDS, "valueFrom": st.just({})})
DEVICE = st.fixed_dictionaries({"name": WORDS, "devicePath": WORDS})
LISTS = {
    "env": st.none() | st.lists(ENV, max_size=3),
    "volumeMounts": st.none() | st.lists(MOUNT, max_size=3),
    "volumeDevices": st.lists(DEVICE, max_size=2),
    "image": WORDS,
}
CONTAINER = st.fixed_dictionaries({"name": WORDS}, optional=LISTS)
SOURCE = optional(name=WORDS, items=st.lists(st.just({"key": "a"}), max_size=1))
VOLUME = st.fixed_dictionaries({"name": WORDS}, optional={"configMap": SOURCE, "emptyDir": st.just({})})
LABELS = st.dictionaries(st.sampled_from([naming.INJECTED_LABEL, "app"]), WORDS, max_size=2)
ANNOTATIONS = st.dictionaries(st.sampled_from([naming.INJECT_ANNOTATION, "a"]), st.sampled_from(["true", "False"]))
PODS = st.fixed_dictionaries(
    {
        "metadata": optional(labels=st.none() | LABELS, annotations=st.none() | ANNOTATIONS, name=WORDS),
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(CONTAINER, min_size=1, max_size=3)},
            optional={
                "initContainers": st.none() | st.lists(CONTAINER, max_size=2),
                "ephemeralContainers": st.lists(CONTAINER, max_size=1),
                "volumes": st.none() | st.lists(VOLUME, max_size=2),
                "os": optional(name=WORDS),
            },
        ),
    }
)


def apply(document: Any, operations: list[dict[str, Any]]) -> Any:
    document = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [p.replace("~1", "/") for p in operation["path"].split("/")[1:]]
        place = document
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        if isinstance(place, list):
            place.append(operation["value"])
        else:
            place[last] = operation["value"]
    return document


ANY = JSON | st.fixed_dictionaries({"metadata": JSON, "spec": st.fixed_dictionaries({"containers": JSON})})


@given(ANY, SPECS)
def test_any_json_value_is_answered(value: Any, spec: Injection) -> None:
    before = copy.deepcopy(value)
    decision = decide(value, spec=spec)
    assert value == before
    assert bool(decision.operations) is (decision.outcome is Outcome.INJECTED)


@given(PODS, SPECS)
def test_a_patched_pod_needs_no_patch(pod: Any, spec: Injection) -> None:
    assert injection(apply(pod, injection(pod, spec=spec)), spec=spec) == []


@given(PODS, SPECS)
def test_only_volumes_mounts_variables_and_the_label_are_touched(pod: Any, spec: Injection) -> None:
    for operation in injection(pod, spec=spec):
        if found := CHANGED.fullmatch(operation["path"]):
            entry = pod["spec"][found[1]][int(found[2])]["env"][int(found[3])]
            assert (entry["name"], "valueFrom" in entry) == ("JAVA_TOOL_OPTIONS", False)
            assert naming.JKS in spec.formats
            assert operation["op"] == ("replace" if "value" in entry else "add")
            assert operation["value"].startswith(entry.get("value", ""))
        else:
            assert operation["op"] == "add"
            assert ALLOWED.fullmatch(operation["path"])


@given(PODS, SPECS)
def test_nothing_that_was_there_is_changed_or_taken_away(pod: Any, spec: Injection) -> None:
    appended = [each for each in injection(pod, spec=spec) if not CHANGED.fullmatch(each["path"])]
    result = apply(pod, appended)
    result["metadata"].get("labels", {}) and result["metadata"]["labels"].pop(naming.INJECTED_LABEL, None)
    before = copy.deepcopy(pod)
    (before["metadata"].get("labels") or {}).pop(naming.INJECTED_LABEL, None)
    assert contains(result, before)


@given(PODS, SPECS)
def test_no_name_of_a_volume_or_variable_and_no_path_becomes_double(pod: Any, spec: Injection) -> None:
    result = apply(pod, injection(pod, spec=spec))
    for was, now in zip(pod["spec"]["containers"], result["spec"]["containers"], strict=True):
        added = (now.get("env") or [])[len(was.get("env") or []) :]
        assert not {e["name"] for e in added} & {e["name"] for e in was.get("env") or []}
        places = [m["mountPath"] for m in (now.get("volumeMounts") or [])[len(was.get("volumeMounts") or []) :]]
        assert not set(places) & {m["mountPath"] for m in was.get("volumeMounts") or []}
    added = (result["spec"].get("volumes") or [])[len(pod["spec"].get("volumes") or []) :]
    assert not {v["name"] for v in added} & {v["name"] for v in pod["spec"].get("volumes") or []}
    assert DEFAULT.volume == naming.TRUST_VOLUME


def contains(result: Any, before: Any) -> bool:
    """Everything of `before` is in `result`: same keys and values; lists may only have grown at their end."""
    if isinstance(before, dict):
        return isinstance(result, dict) and all(contains(result.get(k), v) for k, v in before.items())
    if isinstance(before, list):
        return isinstance(result, list) and all(contains(r, b) for r, b in zip(result, before, strict=False))
    return before is None or result == before
