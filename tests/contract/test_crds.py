"""The custom resources on a real API server: what it takes, what it refuses and in which words, and what it fills in.

Every CEL rule has a spec that breaks it and one that just does not (`tests/unit/api/rule_cases.py`, where a unit test
demands one for each rule); every other constraint is broken by a value that is made from it.
"""

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.property.test_api_values import SPECS, STATUSES
from tests.unit.api.rule_cases import CA, CASES, CERTIFICATE, FULL, MINIMAL, SCHEMAS, SELECTOR, Json

from anchorline.api import codec
from anchorline.api.certificate import CertificateSpec
from anchorline.api.privateca import PrivateCASpec, PrivateCAStatus
from anchorline.api.schema import VALIDATIONS
from anchorline.lab import Cluster

pytestmark = pytest.mark.contract

CRDS = Path(__file__).parents[2] / "crds"
RESOURCES = {CA: "privatecas.anchorline.dev", CERTIFICATE: "certificates.anchorline.dev"}
SPEC_OF = {CA: PrivateCASpec, CERTIFICATE: CertificateSpec}

# The same examples each time, none shrunk: each costs a call of kubectl.
ON_A_SERVER = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
# What a constraint is broken with, and the API server's words for it.
WORDS = {
    "type": "must be of type",
    "enum": "Unsupported value",
    "pattern": "should match",
    "minLength": "should be at least",
    "maxLength": "Too long",
    "minItems": "should have at least",
    "maxItems": "Too many",
    "maxProperties": "Too many",
    "minimum": "should be greater than or equal to",
    "maximum": "should be less than or equal to",
    "required": "Required value",
}
PASSED_OVER = {"description", "properties", "items", "additionalProperties", "default", "format", VALIDATIONS}
PASSED_OVER |= {"x-kubernetes-list-type", "x-kubernetes-list-map-keys"}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # kubectl reads YAML, which knows no surrogates


def _steps(path: str) -> list[str | int]:
    return [0 if part == "[]" else part for part in re.findall(r"\[\]|[^.\[]+", path)]


def _at(path: str) -> str:
    return path.replace("[]", "[0]")


def changed(kind: str, path: str, change: Any) -> Json:
    """A spec with `change` at `path`: objects are merged, None takes away, everything else is put there."""
    top: Any = {"spec": copy.deepcopy(FULL[kind])}
    steps = _steps(path)
    place, last = top, steps[-1]
    for step, following in pairwise(steps):
        place = _inside(place, step, [] if following == 0 else {})
    if last == 0:
        place[:] = [change]
    elif change is None:
        place.pop(last)
    elif isinstance(change, dict):
        merged = place.get(last, {}) | change
        place[last] = {name: value for name, value in merged.items() if value is not None}
    else:
        place[last] = change
    spec: Json = top["spec"]
    return spec


def _inside(place: Any, step: str | int, empty: Any) -> Any:
    if isinstance(step, str):
        return place.setdefault(step, empty)
    place[:] = place or [empty]
    return place[step]


def manifest(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name} | ({"namespace": "default"} if kind == CERTIFICATE else {})
    return {"apiVersion": "anchorline.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def refusals(cluster: Cluster, objects: list[Json]) -> dict[str, str]:
    """Put all objects to the server, with nothing written: name -> its complaint, for those that it refuses."""
    listed = _json({"apiVersion": "v1", "kind": "List", "items": objects})
    arguments = ("create", "--dry-run=server", "--validate=false", "-o", "name", "-f", "-")
    done = cluster.kubectl(*arguments, stdin=listed, check=False)
    complaint = r'^Error from server.*?: \w+\.anchorline\.dev "([^"]+)" is invalid: (.*)$'
    told = dict(re.findall(complaint, done.stderr, re.MULTILINE))
    assert len(told) + len(done.stdout.split()) == len(objects), done.stderr
    return told


@pytest.fixture(scope="module")
def cluster(plane: Cluster) -> Iterator[Cluster]:
    """A cluster with the committed CRDs, as they are found: those of others are left there."""
    names = list(RESOURCES.values())
    before = plane.kubectl("get", "crd", "--ignore-not-found", "-o", "name", *names).stdout
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names))
    yield plane
    if not before:
        plane.kubectl("delete", "crd", "--wait", *names)


def test_every_rule_refuses_what_breaks_it_in_its_own_words(cluster: Cluster) -> None:
    objects = [
        manifest(case.kind, f"case-{n}", changed(case.kind, case.path, case.bad)) for n, case in enumerate(CASES)
    ]
    told = refusals(cluster, objects)
    wrong = [
        case
        for n, case in enumerate(CASES)
        if f"{_at(case.path)}: " not in told.get(f"case-{n}", "") or case.message not in told[f"case-{n}"]
    ]
    assert wrong == []


def test_every_rule_lets_pass_what_just_keeps_to_it(cluster: Cluster) -> None:
    objects = [
        manifest(case.kind, f"case-{n}", changed(case.kind, case.path, case.good)) for n, case in enumerate(CASES)
    ]
    assert refusals(cluster, objects) == {}


def _breaking(word: str, bound: Any, node: Json) -> Any:
    match word:
        case "type":
            return "x" if bound != "string" else 7
        case "enum":
            return "Nonsense"
        case "pattern":
            return "!"
        case "minLength":
            return "x" * (bound - 1)
        case "maxLength":
            return "x" * (bound + 1)
        case "minItems":
            return []
        case "maxItems":
            return [{} if node["items"]["type"] == "object" else "x"] * (bound + 1)
        case "maxProperties":
            return {f"x{n}": "y" for n in range(bound + 1)}
        case _:
            return bound + {"minimum": -1, "maximum": 1}[word]


def _constraints() -> Iterator[tuple[str, str, str, Any]]:
    """Kind, path, the constraint's word, and the value that breaks it, for every constraint of both specs."""
    for kind, found in SCHEMAS.items():
        for path, node in found:
            if not path.startswith("spec"):
                continue
            for word in node.keys() - PASSED_OVER - {"required"}:
                yield kind, path, word, _breaking(word, node[word], node)
            for name in node.get("required", []):
                yield kind, f"{path}.{name}", "required", None


CONSTRAINTS = sorted(_constraints(), key=lambda found: found[:3])


def test_every_constraint_refuses_what_breaks_it(cluster: Cluster) -> None:
    objects = [
        manifest(kind, f"case-{n}", changed(kind, path, value)) for n, (kind, path, _, value) in enumerate(CONSTRAINTS)
    ]
    told = refusals(cluster, objects)
    missed = [
        (kind, path, word, told.get(f"case-{n}"))
        for n, (kind, path, word, _) in enumerate(CONSTRAINTS)
        if WORDS[word] not in told.get(f"case-{n}", "").partition(f"{_at(path)}: ")[2]
    ]
    assert missed == []


# One of these fits into every list and string of a spec.
SAMPLES: tuple[Any, ...] = ("10.0.0.0/8", "x", "DE", "server auth", "ECDSA", "a@b", *SELECTOR["matchExpressions"])


def _fitting(node: Json) -> Any:
    """A sample that a schema takes, as far as it can be told here; rules are the server's."""
    return next(each for each in SAMPLES if _fits(each, node))


def _fits(value: Any, node: Json) -> bool:
    if isinstance(value, dict):
        return bool(node["type"] == "object")
    sized = node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value))
    matches = re.search(node.get("pattern", ""), value) is not None
    return node["type"] == "string" and sized and matches and value in node.get("enum", [value])


def _keeping(word: str, bound: Any, node: Json) -> Any:
    match word:
        case "minLength" | "maxLength":
            longest = "x" * bound
            # What a rule says of a string, its own case keeps to.
            return longest if _fits(longest, node) and VALIDATIONS not in node else None
        case "minItems" | "maxItems":
            return [_fitting(node["items"])] * bound
        case "maxProperties":
            # FULL has one of these already.
            return {"a": "b"} | {f"x{n}": "y" for n in range(1, bound)}
        case "minimum" | "maximum":
            return bound
        case "enum":
            return bound[0]
        case _:
            return None  # FULL, and all that is generated, keeps to these


def _with(kind: str, path: str, value: Any) -> Json:
    """A spec with a value at its path, and with what a rule wants beside it."""
    if path == "spec.root.secretName":
        return changed(kind, "spec.root", {"source": "Secret", "secretName": value})
    return changed(kind, path, value)


KEPT = [
    (kind, path, value)
    for kind, found in SCHEMAS.items()
    for path, node in found
    if path.startswith("spec")
    for word in sorted(node.keys() - PASSED_OVER - {"required"})
    if (value := _keeping(word, node[word], node)) is not None
]


def test_every_bound_lets_pass_what_just_keeps_to_it(cluster: Cluster) -> None:
    assert len(KEPT) > len(CONSTRAINTS) / 3
    objects = [manifest(kind, f"case-{n}", _with(kind, path, value)) for n, (kind, path, value) in enumerate(KEPT)]
    told = refusals(cluster, objects)
    assert [(KEPT[int(name.removeprefix("case-"))][:2], words) for name, words in told.items()] == []


def test_no_constraint_is_of_a_kind_that_is_not_tried() -> None:
    assert {word for _, _, word, _ in CONSTRAINTS} == set(WORDS)


def test_the_server_fills_in_what_the_dataclasses_say(cluster: Cluster) -> None:
    for kind, minimal in MINIMAL.items():
        sent = _json(manifest(kind, "minimal", minimal))
        answer = json.loads(cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=sent).stdout)
        meant: Any = codec.decode(SPEC_OF[kind], minimal)
        assert codec.decode(SPEC_OF[kind], answer["spec"]) == meant
        assert _without_empty(answer["spec"]) == codec.encode(meant)
        assert "status" not in answer


def _without_empty(value: Json) -> Json:
    inner = {name: _without_empty(item) if isinstance(item, dict) else item for name, item in value.items()}
    return {name: item for name, item in inner.items() if item != {}}


@given(st.lists(st.one_of(*SPECS.values()), min_size=10, max_size=10))
@settings(ON_A_SERVER, max_examples=5)
def test_generated_specs_are_taken(cluster: Cluster, specs: list[Any]) -> None:
    kinds = {spec_class: kind for kind, spec_class in SPEC_OF.items()}
    objects = [manifest(kinds[type(spec)], f"spec-{n}", codec.encode(spec)) for n, spec in enumerate(specs)]
    assert refusals(cluster, objects) == {}


@pytest.fixture(scope="module")
def written(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with one minimal object of each kind, named `kept`."""
    for kind, minimal in MINIMAL.items():
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=_json(manifest(kind, "kept", minimal)))
    yield cluster
    for resource in RESOURCES.values():
        cluster.kubectl("delete", resource, "kept")


def _with_status(cluster: Cluster, kind: str, status: Json) -> subprocess.CompletedProcess[str]:
    patch = _json([{"op": "add", "path": "/status", "value": status}])
    arguments = ("kept", "--subresource=status", "--dry-run=server", "--type=json", "-o", "json", "-p", patch)
    return cluster.kubectl("patch", RESOURCES[kind], *arguments, check=False)


@given(st.one_of(*STATUSES.values()))
@settings(ON_A_SERVER, max_examples=5)
def test_generated_statuses_come_back_as_they_were(written: Cluster, status: Any) -> None:
    kind = CA if isinstance(status, PrivateCAStatus) else CERTIFICATE
    done = _with_status(written, kind, codec.encode(status))
    assert done.returncode == 0, done.stderr
    assert codec.decode(type(status), json.loads(done.stdout)["status"]) == status


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        ({"conditions": [{"type": "Ready", "status": "True"}]}, "status.conditions[0].reason: Required value"),
        ({"conditions": [{"type": "Ready", "status": "Yes", "reason": "R"}]}, "Unsupported value"),
        ({"conditions": [{"type": "Ready", "status": "True", "reason": "R"}] * 2}, "Duplicate value"),
        ({"notAfter": "soon"}, "must be of type date-time"),
        ({"revision": -1}, "should be greater than or equal to 0"),
    ],
)
def test_a_status_that_clients_could_not_read_is_refused(written: Cluster, status: Json, complaint: str) -> None:
    assert complaint in _with_status(written, CERTIFICATE, status).stderr


def test_the_source_of_a_root_is_for_ever(written: Cluster) -> None:
    spec = MINIMAL[CA] | {"root": {"source": "Secret", "secretName": "r"}}
    other = _json(manifest(CA, "kept", spec))
    done = written.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=other, check=False)
    assert "spec.root.source: Invalid value" in done.stderr
    assert "source cannot be changed; create another PrivateCA" in done.stderr


def test_the_name_of_a_ca_fits_into_the_names_of_its_secrets(cluster: Cluster) -> None:
    names = {"a.b": False, "c" * 41: False, "c" * 40: True, "a-b": True}
    told = refusals(cluster, [manifest(CA, name, MINIMAL[CA]) for name in names])
    assert {name: name not in told for name in names} == names
    assert all("metadata.name must have no dots and at most 40 characters" in complaint for complaint in told.values())
