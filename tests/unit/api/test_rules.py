"""No CEL rule without a case that the real API server is tried with."""

from pathlib import Path

from tests.unit.api.rule_cases import CASES, ELSEWHERE, SCHEMAS

from anchorline.api.schema import VALIDATIONS

CONTRACT = Path(__file__).parents[2] / "contract" / "test_crds.py"


def test_every_rule_has_a_case() -> None:
    rules = [
        (kind, path, rule["message"])
        for kind, found in SCHEMAS.items()
        for path, node in found
        for rule in node.get(VALIDATIONS, [])
    ]
    cases = [*((case.kind, case.path, case.message) for case in CASES), *ELSEWHERE]
    for kind, path, message in rules:
        assert any((kind, path) == case[:2] and message.startswith(case[2]) for case in cases), (
            f"{kind} {path}: {message}"
        )
    assert len(rules) == len(cases), "a case is left over from a rule that is gone"
    assert all(f"def {name}(" in CONTRACT.read_text(encoding="utf-8") for name in ELSEWHERE.values())
