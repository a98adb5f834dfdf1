"""`anchorline crds`, and that the files in `crds/` are what the code says."""

import argparse
from pathlib import Path

import pytest
import yaml

from anchorline.api.manifests import custom_resource_definitions
from anchorline.cli import crds

REPOSITORY = Path(__file__).parents[3]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    crds.register(parser.add_subparsers())
    parsed = parser.parse_args(["crds", *arguments])
    code: int = parsed.func(parsed)
    return code


def test_the_files_in_the_repository_are_current() -> None:
    assert run("--check", str(REPOSITORY / "crds")) == 0


def test_what_is_printed_can_be_applied(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert tuple(yaml.safe_load_all(capsys.readouterr().out)) == custom_resource_definitions()


def test_what_was_written_is_current_until_it_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new"
    assert run("--write", str(directory)) == 0
    assert sorted(file.name for file in directory.iterdir()) == [
        "anchorline.dev_certificates.yaml",
        "anchorline.dev_privatecas.yaml",
    ]
    assert run("--check", str(directory)) == 0
    stale = directory / "anchorline.dev_privatecas.yaml"
    stale.write_text("old")
    (directory / "anchorline.dev_certificates.yaml").unlink()
    assert run("--check", str(directory)) == 1
    told = capsys.readouterr().err
    assert f"{stale} is not what the code says; run: anchorline crds --write {directory}" in told
    assert "anchorline.dev_certificates.yaml is not what" in told


def test_the_yaml_has_no_anchors() -> None:
    assert not any("&id" in content for content in crds.files().values())


def test_a_definition_says_how_it_is_listed_and_selected() -> None:
    ca, certificate = custom_resource_definitions()
    assert (ca["spec"]["scope"], certificate["spec"]["scope"]) == ("Cluster", "Namespaced")
    assert certificate["spec"]["names"]["shortNames"] == ["acert"]
    assert certificate["spec"]["versions"][0]["selectableFields"] == [
        {"jsonPath": ".spec.caRef.name"},
        {"jsonPath": ".spec.secretName"},
    ]
    assert "selectableFields" not in ca["spec"]["versions"][0]
