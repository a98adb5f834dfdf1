"""How many examples a property is tried on: few before each commit, many in `make test` (ANCHORLINE_MODEL=deep)."""

import os

DEEP = os.environ.get("ANCHORLINE_MODEL") == "deep"
EXAMPLES = 40


def examples(few: int = EXAMPLES) -> int:
    """So many of a property that is tried on `few` before each commit."""
    return few * 10 if DEEP else few
