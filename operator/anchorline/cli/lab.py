"""`anchorline lab up | load | down | status`: a Kubernetes control plane or node on this machine, for people."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from anchorline import errors
from anchorline.lab import binaries, children, controlplane, folder, node, places, progress, versions
from anchorline.lab.node.node import processes

_MIB = 2**20


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `lab` command; each of its commands sets `func`, which takes the namespace and returns the exit code."""
    lab = subparsers.add_parser("lab", help="a Kubernetes control plane on this machine, to try Anchorline on")
    commands = lab.add_subparsers(dest="lab_command", required=True, metavar="up|load|down|status")
    up = _command(commands, "up", "start etcd, kube-apiserver and kube-controller-manager on loopback", _up)
    up.add_argument("--port", type=int, help="port of the API server (default: a free one)")
    up.add_argument("--fsync", action="store_true", help="let etcd write to the disk before it answers (slower)")
    up.add_argument("--node", action="store_true", help="with a real node: kubelet, containerd, DNS (Debian, root)")
    load = _command(commands, "load", "load an image archive into the node", _load)
    load.add_argument("archive", type=Path, metavar="ARCHIVE", help="an OCI or docker archive")
    _command(commands, "down", "stop everything and remove the folder", _down)
    _command(commands, "status", "tell what runs, where, since when and how large", _status)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    what: str,
    act: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=what)
    parser.add_argument("--name", default="default", help="name of the lab, when there are several (default: default)")
    parser.add_argument("--dir", type=Path, help="folder of the lab (default: by name, in the user's state folder)")
    parser.set_defaults(func=lambda arguments: _guarded(act, arguments))
    return parser


def _guarded(act: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Run a command; what goes wrong is one sentence on stderr and exit code 1."""
    try:
        return act(arguments)
    except errors.AnchorlineError as error:
        print(f"anchorline: {error.message}", file=sys.stderr)
    except KeyboardInterrupt:
        print("anchorline: interrupted; nothing was left running", file=sys.stderr)
    return 1


def _folder(arguments: argparse.Namespace) -> folder.Folder:
    root: Path = arguments.dir or places.lab(arguments.name)
    return folder.Folder(root=root.absolute())


def _up(arguments: argparse.Namespace) -> int:
    """Start a lab that stays; a second time only says where it is."""
    where = _folder(arguments)
    if where.alive:
        folder.read_state(where)
        print("already up")
        _next_steps(where, arguments)
        return 0
    if where.lock.is_file():
        print(f"removing what a crashed lab left in {where.root}", file=sys.stderr)
        where.remove()
    began = time.monotonic()
    kind = node.Node if arguments.node else controlplane.ControlPlane
    plane = kind.started(directory=where.root, fsync=arguments.fsync, port=arguments.port)
    plane.detach()
    print(f"up after {time.monotonic() - began:.1f} s: {plane.server}")
    _next_steps(where, arguments)
    return 0


def _load(arguments: argparse.Namespace) -> int:
    """Load images; a pod finds them with `imagePullPolicy: IfNotPresent` or `Never`."""
    for name in node.load(_folder(arguments), arguments.archive):
        print(f"loaded {name}")
    return 0


def _next_steps(where: folder.Folder, arguments: argparse.Namespace) -> None:
    """Print the kubeconfig and the commands to type next, which work as they are."""
    print(f"kubeconfig: {where.kubeconfig}\n")
    print("next:")
    print(f"  export KUBECONFIG={where.kubeconfig}")
    print(f"  {binaries.locate('kubectl')} get namespaces")
    print(f"  anchorline lab down{_which(arguments)}")


def _which(arguments: argparse.Namespace) -> str:
    """The options that name the same lab again."""
    if arguments.dir:
        return f" --dir {arguments.dir}"
    return f" --name {arguments.name}" if arguments.name != "default" else ""


def _down(arguments: argparse.Namespace) -> int:
    where = _folder(arguments)
    print("down" if controlplane.down(where) else f"there is no lab in {where.root}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    """Print the lab's components; exit code 1 when there is no lab or one of them has ended."""
    where = _folder(arguments)
    if not where.alive:
        left = " but its folder is still there; `anchorline lab up` starts anew" if where.lock.is_file() else ""
        print(f"not running: {where.root}{left}")
        return 1
    state = folder.read_state(where)
    age = progress.elapsed(time.time() - state.since)
    print(f"up since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(state.since))} ({age}) at {state.server}")
    print(f"kubeconfig: {where.kubeconfig}\n")
    print(f"{'COMPONENT':<25} {'VERSION':<9} {'PORT':>5} {'PID':>7} {'RSS':>8}")
    numbers = processes(where)
    for component in state.components:
        print(_line(component, numbers.get(component.pid, component.pid)))
    if not numbers:
        return 1 if any(component.exit_code is not None for component in state.components) else 0
    wrong = node.complaints(where)
    print("".join(f"\n{each}" for each in wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


def _line(component: folder.ComponentState, pid: int) -> str:
    # Debian's programs are not in the table of what is built, and are asked the common way.
    known = versions.BINARIES.get(component.name, versions.BINARIES["etcd"])
    seen = binaries.version_of(known, Path(component.binary))
    resident = children.resident_bytes(pid)
    memory = f"{resident / _MIB:.0f} MiB" if resident else "-"
    ended = "" if component.exit_code is None else f"  ended with exit code {component.exit_code}"
    version = str(seen or "?")
    return f"{component.name:<25} {version:<9} {component.port or '-':>5} {pid:>7} {memory:>8}{ended}"
