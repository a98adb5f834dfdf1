"""The story: its chapters in their order, the summary, and an end that leaves nothing behind unless asked to."""

import argparse
import os
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from anchorline.cli.demo import install, issue, refusal, restart, rotation, trust
from anchorline.cli.demo.scene import LEAVING, Scene, quietly
from anchorline.cli.demo.stage import Stage
from anchorline.errors import AnchorlineError, InvalidSpec
from anchorline.lab import Cluster, ControlPlane, attach, binaries, places
from anchorline.lab.folder import Folder

KEPT = "demo"


def tell(arguments: argparse.Namespace) -> int:
    """Tell the story: 0 when all that was shown was true, 1 with one sentence when something was not."""
    stage = Stage()
    stage.plainly("Anchorline, the whole story. Every line with $ is run; every ✓ was checked just now.")
    if not arguments.skip_rotation:
        stage.plainly("Chapters 1-6 take under a minute; 7, a root replaced under traffic, takes one or two more.")
    with _signals(), ExitStack() as stack:
        try:
            return _chapters(arguments, stage, stack)
        except AnchorlineError as error:
            stage.failed(error.message)
            stage.summary()
            return 1
        except KeyboardInterrupt:
            stage.plainly("\ninterrupted; everything that was started is being ended")
            raise
        finally:
            # The way out is short; a second Ctrl-C must not leave half of it undone.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chapters(arguments: argparse.Namespace, stage: Stage, stack: ExitStack) -> int:
    stage.chapter("A control plane, the chart, and two processes with the chart's rights")
    cluster = _cluster(arguments, stage)
    stack.callback(lambda: quietly(cluster.close))
    scene = Scene(cluster, stage)
    stack.callback(lambda: quietly(scene.leave))
    stack.callback(lambda: quietly(scene.stop))
    told = _told(arguments, scene)
    stage.summary()
    if arguments.keep and scene.running:
        _keep(scene, stack)
    return 0 if told else 1


def _told(arguments: argparse.Namespace, scene: Scene) -> bool:
    """Play the chapters; False when something that they claim is not true."""
    try:
        with ExitStack() as servers:
            install.play(scene)
            port = issue.play(scene, servers)
            trust.play(scene, port)
            restart.play(scene)
            refusal.play(scene)
            if not arguments.skip_rotation:
                rotation.play(scene, servers, fast=arguments.fast)
    except AnchorlineError as error:
        scene.stage.failed(error.message)
        return False
    return True


def _cluster(arguments: argparse.Namespace, stage: Stage) -> Cluster:
    given = arguments.kubeconfig or os.environ.get("KUBECONFIG")
    if given:
        stage.note(f"the cluster of {given}; what the demo makes there it takes away again, unless --keep")
        return attach(Path(given))
    if not arguments.keep:
        return ControlPlane.started()
    where = Folder(root=places.lab(KEPT).absolute())
    if where.alive:
        raise InvalidSpec(f"A demo was kept before; end it first: anchorline lab down --name {KEPT}")
    where.remove()
    return ControlPlane.started(directory=where.root)


def _keep(scene: Scene, stack: ExitStack) -> None:
    keeper = scene.keep()
    stack.pop_all()  # dropped, not closed: from here on all of it is meant to stay
    config = scene.cluster.kubeconfig
    lines = ["", "kept; go on by hand:", f"  export KUBECONFIG={config}"]
    kubectl = binaries.locate("kubectl")
    lines.append(f"  {kubectl} get privateca,acert -A")
    if scene.read("privateca", rotation.CA):
        lines.append(f"  {kubectl} annotate privateca {rotation.CA} --overwrite anchorline.dev/rotate=again")
    lines.append(f"  tail -f {scene.folder}/operator.log")
    scene.cluster.detach()
    if isinstance(scene.cluster, ControlPlane):
        lines.append(f"end it, processes and all: anchorline lab down --name {KEPT}")
    else:
        lines.append("end the two processes, and take everything away from the cluster:")
        lines.append(f"  kill {keeper.pid}")
        lines += [f"  {shlex.join((str(binaries.locate(program)), *words))}" for program, *words in LEAVING]
    scene.stage.plainly("\n".join(lines))


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {
        number: signal.signal(number, signal.default_int_handler) for number in numbers
    }
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGINT, interrupt)
