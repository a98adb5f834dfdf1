"""Certificates in words, compared with committed text; UPDATE_GOLDEN=1 writes it anew."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.certificates import NOW, a_bridge, a_chain, a_leaf, a_root, an_intermediate, ec_key

from anchorline import pki

GOLDEN = Path(__file__).parents[2] / "golden" / "certificates"
LEAVES = {"P-256": "leaf", "P-384": "leaf-p384", "Ed25519": "leaf-ed25519"}


def _tree(*roots: pki.Certificate) -> str:
    return pki.describe_chain(a_bridge().served, pki.TrustBundle.of(roots, now=None))


CASES: dict[str, Callable[[], str]] = {
    "root": lambda: pki.describe(a_root().certificate),
    "intermediate": lambda: pki.describe(an_intermediate(a_root(), excluded=("kube-system.svc",)).certificate),
    "intermediate-unconstrained": lambda: pki.describe(an_intermediate(a_root(), permitted=()).certificate),
    "cross": lambda: pki.describe(a_bridge().cross),
    "leaf-with-subject": lambda: pki.describe(
        a_leaf(a_chain().intermediate, ec_key(3), common_name="web", ips=("10.0.0.1",), usages=("client auth", "any"))
    ),
    **{name: lambda kind=kind: pki.describe(a_chain(kind).leaf) for kind, name in LEAVES.items()},  # type: ignore[misc]
    "chain": lambda: pki.describe_chain(a_chain().served, a_chain().roots),
    "chain-bridge-old": lambda: _tree(a_bridge().old),
    "chain-bridge-new": lambda: _tree(a_bridge().new),
    "chain-bridge-both": lambda: _tree(a_bridge().old, a_bridge().new),
    "chain-without-root": lambda: pki.describe_chain(a_chain().served, pki.TrustBundle()),
}


@pytest.mark.parametrize("name", CASES)
def test_the_description_is_the_committed_one(name: str) -> None:
    """The SHA-256 in it makes this a test of the bytes of the certificate too."""
    text, file = CASES[name](), GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_there_is_no_golden_text_without_a_case() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == CASES.keys()


def test_a_description_does_not_depend_on_the_clock() -> None:
    assert str(NOW.year) in CASES["root"]()
