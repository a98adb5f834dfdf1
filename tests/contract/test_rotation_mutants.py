"""The auditor can fail: operators that break one rule of a rotation each are caught on a real API server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.auditor.beside import Beside
from tests.scenarios.mutant import MUTANTS
from tests.support import operator as support
from tests.support.operator import Operator, Site
from tests.support.rotation import LAG, READ_ONCE, Rotation

pytestmark = [pytest.mark.contract, pytest.mark.timeout(180)]

CAUGHT = {
    "signs_before_the_root_is_distributed": "signed before the root was trusted",
    "does_not_give_time_to_read": "held up to 1.5 s",
    "serves_no_bridge": "unable to get",
    "drops_the_old_root_early": "unable to get",
}
TIMES = {"propagation": "2s", "reissueOver": "0s"}


@contextmanager
def mutated(site: Site, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """An operator process with a fault."""
    launcher = folder / "mutant"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.scenarios.mutant {name} "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(support, "EXECUTABLE", launcher)
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'operator'}")
    process = Operator(site, "mutant")
    try:
        yield process.start()
    finally:
        process.kill()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(site: Site, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Rotation(site.api)
    options = (LAG, READ_ONCE, f"--authority={case.name}")
    with mutated(site, name, tmp_path, monkeypatch), Beside(site.plane.kubeconfig, *options) as auditor:
        case.begin(rotation=TIMES)
        case.annotate(rotate="a fault")
        said = auditor.violation(60)
        case.end()
    print(f"{name}: {said}")
    assert CAUGHT[name] in said


def test_the_auditor_shares_no_code_with_what_it_audits() -> None:
    folder = Path(__file__).resolve().parents[1] / "auditor"
    files = list(folder.glob("*.py"))
    assert len(files) > 5
    for path in files:
        imports = [line for line in path.read_text().splitlines() if line.strip().startswith(("import ", "from "))]
        assert not [line for line in imports if "anchorline" in line or ("tests." in line and "auditor" not in line)]
