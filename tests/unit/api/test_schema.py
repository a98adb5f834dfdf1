"""Dataclasses to OpenAPI: golden for every kind of field, and what the generator refuses."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from tests.unit.api.sample import Inner, Sample

from anchorline.api.manifests import CERTIFICATE, PRIVATE_CA, custom_resource_definitions
from anchorline.api.schema import object_schema, summary
from anchorline.cli.crds import to_yaml

GOLDEN = Path(__file__).parents[2] / "golden" / "crds" / "every_kind_of_field.yaml"


def test_every_kind_of_field_has_the_schema_that_was_agreed() -> None:
    written = to_yaml(object_schema(Sample))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(written, encoding="utf-8")
    assert written == GOLDEN.read_text(encoding="utf-8")


def test_a_status_has_no_defaults() -> None:
    assert "default" in yaml.safe_dump(object_schema(Sample))
    assert "default:" not in yaml.safe_dump(object_schema(Sample, defaults=False))


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


def everything() -> list[tuple[str, dict[str, Any]]]:
    kinds = (PRIVATE_CA, CERTIFICATE)
    roots = [
        (kind, crd["spec"]["versions"][0]["schema"])
        for kind, crd in zip(kinds, custom_resource_definitions(), strict=True)
    ]
    return [found for kind, root in roots for found in walk(root["openAPIV3Schema"], kind.resource.__name__)]


def test_every_field_says_what_it_is() -> None:
    silent = [
        path for path, schema in everything() if not path.endswith(("]", ".metadata")) and not schema.get("description")
    ]
    assert silent == []


def test_every_description_is_a_sentence() -> None:
    odd = [path for path, schema in everything() if not schema.get("description", ".").endswith((".", "`."))]
    assert odd == []


def test_nothing_that_a_structural_schema_forbids_is_emitted() -> None:
    forbidden = {"$ref", "anyOf", "oneOf", "allOf", "not", "title", "const", "nullable", "uniqueItems"}
    assert [path for path, schema in everything() if forbidden & schema.keys()] == []
    assert [path for path, schema in everything() if "type" not in schema] == []


def test_names_are_those_of_the_published_interface() -> None:
    paths = {path for path, _ in everything()}
    assert {
        "PrivateCA.spec.nameConstraints.permittedDNSDomains",
        "Certificate.spec.caRef.name",
        "Certificate.spec.dnsNames",
        "Certificate.spec.renewBeforePercentage",
        "Certificate.status.renewalTime",
    } <= paths


@dataclass(frozen=True)
class _OfUnknownType:
    """Has a field that no schema can say."""

    value: Annotated[float, "A fraction."]


@dataclass(frozen=True)
class _OfUnion:
    """Has a field that only a union could say."""

    value: Annotated[int | str, "Either."]


@dataclass(frozen=True)
class _Silent:
    """Has a field that nobody described."""

    value: str


@pytest.mark.parametrize(
    ("cls", "complaint"),
    [
        (_OfUnknownType, "_OfUnknownType.value: <class 'float'> has no schema"),
        (_OfUnion, "_OfUnion.value: int | str has no schema"),
        (_Silent, "_Silent.value has no description"),
    ],
)
def test_the_generator_fails_and_never_guesses(cls: type, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint.replace("|", r"\|")):
        object_schema(cls)


def test_a_summary_is_the_first_sentence_of_the_docstring() -> None:
    class Undocumented:
        pass

    assert summary(Inner) == "An object in an object."
    assert summary(Undocumented) == ""
