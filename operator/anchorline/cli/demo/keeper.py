"""Runs operator and webhook on after a demo that was kept, until the control plane that they belong to is gone.

`python -m anchorline.cli.demo.keeper PID FILE`: PID is the lab's supervisor (0: run until a signal), FILE lists orders,
and the folder two above it, with their tokens and logs, goes with the last of them.
"""

import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path

from anchorline.cli.demo.leash import Leashed, Order


def main(supervisor: int, orders: Path) -> None:
    """Start what is ordered, wait for the end, end it."""
    waked, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    running = [Leashed(Order(**each)) for each in json.loads(orders.read_text())]
    watched = [waked, *([os.pidfd_open(supervisor)] if supervisor else [])]
    select.select(watched, [], [])
    for each in reversed(running):
        each.stop()
    if not supervisor:  # else the lab's folder goes with the lab
        shutil.rmtree(orders.parent.parent, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
