"""`anchorline demo`: the whole story on a real control plane, each step run, shown, and held to what it claims."""

import argparse
from pathlib import Path


def register(sub: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `anchorline demo` to the commands."""
    command = sub.add_parser("demo", help="show the whole story on a Kubernetes control plane of this machine")
    command.add_argument(
        "--kubeconfig", type=Path, help="run on this cluster; default: KUBECONFIG, else a control plane of our own"
    )
    command.add_argument("--keep", action="store_true", help="leave everything running at the end")
    command.add_argument("--fast", action="store_true", help="rotate with the shortest lives that are allowed")
    command.add_argument("--skip-rotation", action="store_true", help="leave out the last chapter, a minute or more")
    command.set_defaults(func=_run)


def _run(arguments: argparse.Namespace) -> int:
    # The lab and rich are not in the container image, and every other command works without them.
    try:
        from anchorline.cli.demo.story import tell
    except ImportError as error:
        from anchorline.errors import NotReady

        raise NotReady(
            f"The demo needs the package extra `lab` ({error}); run: pip install 'anchorline[lab]'"
        ) from None
    return tell(arguments)
