"""`python -m anchorline.lab.programs NAME...`: has them ahead of tests, which give nobody a quarter of an hour."""

import sys
from collections.abc import Sequence

from anchorline import errors
from anchorline.lab import binaries


def main(names: Sequence[str]) -> int:
    """Have the programs; exit code 1, and a sentence on stderr, when one cannot be had."""
    try:
        binaries.locate_all(names)
    except errors.AnchorlineError as error:
        print(f"anchorline: {error.message}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
