"""`anchorline crds`: the CustomResourceDefinitions as YAML, printed, written, or compared with what is there."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from anchorline.api import manifests
from anchorline.errors import InvalidSpec

HEADER = (
    "# Generated from operator/anchorline/api by `anchorline crds --write`. Do not edit: `make crds` overwrites it.\n"
)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `anchorline`."""
    parser = subparsers.add_parser(
        "crds",
        help="print the CustomResourceDefinitions",
        description="Print the CustomResourceDefinitions as YAML, for `kubectl apply --server-side -f -`.",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--write", metavar="DIR", type=Path, help="write one file for each into DIR")
    choice.add_argument(
        "--check", metavar="DIR", type=Path, help="exit 1 when a file in DIR is not what --write writes"
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Print, write or check; the exit code."""
    if arguments.write:
        return write(arguments.write)
    if arguments.check:
        return check(arguments.check)
    sys.stdout.write("---\n".join(files().values()))
    return 0


def files() -> dict[str, str]:
    """File name to content, as they lie in `crds/`."""
    return {file_name(crd): HEADER + to_yaml(crd) for crd in manifests.custom_resource_definitions()}


def file_name(crd: dict[str, Any]) -> str:
    """`anchorline.dev_certificates.yaml`: group, then plural."""
    return f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml"


def to_yaml(value: dict[str, Any]) -> str:
    """Block-style YAML in the order of the value; the same value is the same bytes."""
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def write(directory: Path) -> int:
    """Write one file for each CRD, make the directory when it is missing; the exit code. Raises InvalidSpec."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in files().items():
            (directory / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InvalidSpec(f"cannot write into {directory}: {error.strerror}; name a folder that can be") from error
    return 0


def check(directory: Path) -> int:
    """Compare byte for byte and name each file that is stale or missing; the exit code."""
    stale = [name for name, content in files().items() if _read(directory / name) != content]
    for name in stale:
        sys.stderr.write(f"{directory / name} is not what the code says; run: anchorline crds --write {directory}\n")
    return 1 if stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


class _Plain(yaml.SafeDumper):
    """YAML without anchors: the same list twice is written twice, for people who read it."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - its signature is PyYAML's
        return True
