"""`anchorline`: the subcommands, and what their errors look like to a person."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TypeAlias

from anchorline import __version__
from anchorline.errors import AnchorlineError
from anchorline.shell.start import prepare

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser(only: str = "") -> argparse.ArgumentParser:
    """All subcommands, or the one that is asked for; each says by `func` what it does.

    A process that runs for months holds no code of the commands that it does not run, and starts sooner.
    """
    top = argparse.ArgumentParser(
        prog="anchorline", description="Make a private root certificate trusted by every workload."
    )
    sub = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, register in _COMMANDS.items():
        if only not in _COMMANDS or only == name:
            register(sub)
    return top


def _plan(sub: Subparsers) -> None:
    from anchorline.cli import plan

    plan.register(sub)


def _rotate(sub: Subparsers) -> None:
    from anchorline.cli import rotate

    rotate.register(sub)


def _crds(sub: Subparsers) -> None:
    from anchorline.cli import crds

    crds.register(sub)


def _developer(sub: Subparsers) -> None:
    """The lab and the demo, which the image does not carry."""
    if find_spec("anchorline.lab") is None:
        return
    from anchorline.cli import demo, lab

    lab.register(sub)
    demo.register(sub)


def _operator(sub: Subparsers) -> None:
    from anchorline.shell.settings import add_arguments

    command = sub.add_parser("operator", help="run the operator")
    add_arguments(command)
    command.set_defaults(func=_run_operator)


def _run_operator(arguments: argparse.Namespace) -> int:
    prepare()
    from anchorline.shell.process import main as operator

    return operator(arguments)


def _webhook(sub: Subparsers) -> None:
    from anchorline.shell.webhook import arguments as webhook

    command = sub.add_parser("webhook", help="run the webhook that mounts trust stores into pods")
    webhook.add_arguments(command)
    command.set_defaults(func=_run_webhook)


def _run_webhook(arguments: argparse.Namespace) -> int:
    prepare()
    from anchorline.shell.webhook.process import main as webhook

    return webhook(arguments)


def _version(sub: Subparsers) -> None:
    sub.add_parser("version", help="print the version").set_defaults(func=_print_version)


def _print_version(_arguments: argparse.Namespace) -> int:
    print(f"anchorline {__version__}")
    return 0


_COMMANDS: dict[str, Callable[[Subparsers], None]] = {
    "operator": _operator,
    "webhook": _webhook,
    "plan": _plan,
    "rotate": _rotate,
    "crds": _crds,
    "lab and demo": _developer,
    "version": _version,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 when it did what was asked, 1 with one sentence when it could not."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser(next(iter(words), "")).parse_args(words)
    try:
        code = int(arguments.func(arguments))
        sys.stdout.flush()
        return code  # noqa: TRY300 - what was printed has to leave before all is well
    except AnchorlineError as error:
        print(f"anchorline: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
