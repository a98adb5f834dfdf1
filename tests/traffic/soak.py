"""`make soak`: rotations under traffic until a million handshakes are done, and a report of them."""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.auditor.beside import Beside
from tests.support.rotation import READ_ONCE
from tests.traffic.pods import Pace
from tests.traffic.run import LAG, Run
from tests.traffic.stage import operated

PROGRESS_SECONDS = 20.0
# A handshake costs a Java server five times the processor time of a Go server (4.2 ms and 0.8 ms in a run of it); curl
# starts a process for each round of servers.
PATIENCE = {"go": 1, "python": 30, "gnutls": 60, "node": 60, "java": 400, "curl": 200}
SHARE = {"go": 10, "node": 4, "python": 4, "nginx": 10, "java": 1}


@dataclass
class Soak:
    """Rotations one after the other, a line of progress now and then, and a report that is there from the first on."""

    run: Run
    wanted: argparse.Namespace
    begun: float = field(default_factory=time.monotonic)
    ended: bool = False
    _told: float = 0.0

    def go(self) -> None:
        """Until there were enough handshakes and rotations, or SIGTERM came; Ctrl-C ends everything at once."""
        signal.signal(signal.SIGTERM, self._end)
        while not self.ended and not self._enough():
            seconds = self.run.rotate(self._progress)
            self._say(f"rotation {self.run.rotations} took {seconds:.0f} s")
            self.write(self.run.tally.report())

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.ended = True

    def _enough(self) -> bool:
        return self.run.tally.total >= self.wanted.handshakes and self.run.rotations >= self.wanted.rotations

    def _progress(self) -> None:
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._say(f"rotation {self.run.rotations}, {self.run.tally.phase}")

    def _say(self, what: str) -> None:
        seconds, tally = time.monotonic() - self.begun, self.run.tally
        rate, failed = tally.total / (time.monotonic() - tally.begun), sum(tally.failed.values())
        left = max(0.0, self.wanted.handshakes - tally.total) / rate if rate else 0.0
        counts = f"{tally.total} handshakes, {failed} failed, {rate:.0f}/s, about {left / 60:.0f} min to go"
        print(f"{seconds:6.0f} s  {what}: {counts}", flush=True)

    def write(self, report: str) -> None:
        """Keep what is known now, in the file that was asked for."""
        if self.wanted.report is not None:
            self.wanted.report.write_text(report + "\n")


def wishes() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.traffic.soak", description=__doc__)
    parser.add_argument("--handshakes", type=int, default=1_000_000)
    parser.add_argument("--rotations", type=int, default=3, help="at least")
    parser.add_argument("--pace", type=int, default=2, help="milliseconds between two handshakes of Go's loops")
    parser.add_argument(
        "--niceness", type=int, default=10, help="of servers and clients; 0 on a machine that is shared"
    )
    parser.add_argument("--report", type=Path, help="a file for the report; it is there after the first rotation")
    return parser.parse_args()


def main() -> int:
    """0 when nobody failed; SIGTERM ends it after the rotation that runs."""
    wanted = wishes()
    with tempfile.TemporaryDirectory(prefix="soak-") as name, operated(Path(name)) as site, ExitStack() as stack:
        run = Run(site, Path(name), stack, Pace(wanted.pace, wanted.niceness, PATIENCE, SHARE)).begin()
        with Beside(site.plane.kubeconfig, LAG, READ_ONCE) as auditor:
            soak = Soak(run, wanted)
            try:
                soak.go()
            finally:
                soak.write(run.tally.report())
            report = run.end()
            report += f"\n{run.rotations} rotations; auditor: {auditor.silent()}"
        print(report, flush=True)
        soak.write(report)
        return 1 if run.tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
