"""Versions: what programs say, what fits, and that the table in code is what the committed modules pin."""

from pathlib import Path

import pytest

from anchorline import errors
from anchorline.lab import places, versions
from anchorline.lab.versions import Rule, Version

REPOSITORY = Path(__file__).parents[3]


def v(text: str) -> Version:
    version = versions.parse(text)
    assert version
    return version


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Kubernetes v1.37.2\n", "1.37.2"),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0\n", "1.32.4"),
        ("etcd Version: 3.7.3\nGit SHA: Not provided\nGo Version: go1.26.8\n", "3.7.3"),
        ("v4.3.1+gabcdef0\n", "4.3.1"),
        ('version.BuildInfo{Version:"v3.19.0", GoVersion:"go1.24.5"}', "3.19.0"),
    ],
)
def test_the_version_is_the_first_one_named(answer: str, expected: str) -> None:
    assert str(v(answer)) == expected


def test_an_answer_without_a_version_is_none() -> None:
    assert versions.parse("unknown flag: --version") is None


@pytest.mark.parametrize(
    ("rule", "pinned", "seen", "expected"),
    [
        (Rule.SAME_MINOR, "1.37.2", "1.37.0", True),
        (Rule.SAME_MINOR, "1.37.2", "1.36.9", False),
        (Rule.SAME_MINOR, "1.37.2", "2.37.2", False),
        (Rule.SKEW_OF_ONE, "1.37.2", "1.36.0", True),
        (Rule.SKEW_OF_ONE, "1.37.2", "1.38.9", True),
        (Rule.SKEW_OF_ONE, "1.37.2", "1.35.9", False),
        (Rule.SKEW_OF_ONE, "1.37.2", "2.37.0", False),
        (Rule.AT_LEAST_3_6, "3.7.3", "3.6.0", True),
        (Rule.AT_LEAST_3_6, "3.7.3", "3.5.21", False),
        (Rule.AT_LEAST_3_6, "3.7.3", "4.0.0", False),
        (Rule.SAME_MAJOR, "4.3.1", "4.0.0", True),
        (Rule.SAME_MAJOR, "4.3.1", "3.19.0", False),
    ],
)
def test_what_fits(rule: Rule, pinned: str, seen: str, expected: bool) -> None:
    assert versions.fits(rule, v(pinned), v(seen)) is expected


@pytest.mark.parametrize("module", versions.MODULES, ids=lambda module: module.folder)
def test_the_table_agrees_with_the_committed_modules(module: versions.Module) -> None:
    assert versions.pinned_in(places.sources() / module.folder / "go.mod", module.requires) == module.version


def test_every_program_of_the_table_is_a_tool_of_its_module() -> None:
    for binary in versions.BINARIES.values():
        go_mod = (places.sources() / binary.module.folder / "go.mod").read_text()
        assert binary.package == "." or binary.package in go_mod


def test_an_unknown_program_is_refused_with_the_known_ones() -> None:
    with pytest.raises(errors.InvalidSpec, match="'minikube'; it knows etcd, kube-apiserver"):
        versions.binary("minikube")


def test_the_source_root_is_not_a_package() -> None:
    """As a package, `operator/` would shadow the standard library's module of that name."""
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
