"""`python -m anchorline` is the `anchorline` command."""

import sys

from anchorline.cli.main import main

sys.exit(main())
