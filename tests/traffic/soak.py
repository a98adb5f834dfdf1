"""`make soak`: rotations under traffic until a million handshakes are done, and a report of them."""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from tests.auditor.beside import Beside
from tests.support.rotation import READ_ONCE
from tests.traffic.run import LAG, Run
from tests.traffic.stage import operated


def main() -> int:
    """0 when nobody failed; a signal ends it after the rotation that runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.traffic.soak", description=__doc__)
    parser.add_argument("--handshakes", type=int, default=1_000_000)
    parser.add_argument("--rotations", type=int, default=3, help="at least")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, operated(Path(name)) as site, ExitStack() as stack:
        run = Run(site, Path(name), stack).begin()
        with Beside(site.plane.kubeconfig, LAG, READ_ONCE) as auditor:
            _soak(run, wanted)
            print(run.end())
            print(f"{run.rotations} rotations; auditor: {auditor.silent()}", flush=True)
        return 1 if run.tally.failed else 0


def _soak(run: Run, wanted: argparse.Namespace) -> None:
    ended: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    while not ended and (run.tally.total < wanted.handshakes or run.rotations < wanted.rotations):
        seconds = run.rotate()
        failed = sum(run.tally.failed.values())
        print(f"rotation {run.rotations}: {seconds:.0f} s, {run.tally.total} handshakes, {failed} failed", flush=True)


if __name__ == "__main__":
    sys.exit(main())
