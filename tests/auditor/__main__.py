"""`python -m tests.auditor --kubeconfig F`: watch a cluster and judge every change; 1 at the first violation."""

import argparse
import ctypes
import os
import queue
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tests.auditor.access import Access, Object, Unreachable, from_kubeconfig
from tests.auditor.audit import TRUST_STORE, Audit, Seen, Violation
from tests.auditor.judge import Judge
from tests.auditor.watching import Name, Watch

Change = tuple[Seen, str, Name, Object | None]
LOOK_SECONDS = 0.2
SYNC_SECONDS = 30.0
PR_SET_PDEATHSIG = 1

WATCHED: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Secret", "/api/v1/secrets", {"labelSelector": "anchorline.dev/managed=true"}),
    ("ConfigMap", "/api/v1/configmaps", {"fieldSelector": f"metadata.name={TRUST_STORE}"}),
    ("Namespace", "/api/v1/namespaces", {}),
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.auditor", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--once", action="store_true", help="judge what is there now, and end")
    parser.add_argument("--authority", default="", help="only this PrivateCA")
    parser.add_argument("--except", dest="besides", action="append", default=[], help="not this PrivateCA")
    parser.add_argument("--lag", type=float, default=0.0, help="seconds for which peers may hold what they have read")
    parser.add_argument("--read-once", action="store_true", help="count processes that read their trust once")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")
    return parser.parse_args()


def main() -> int:
    """Run until SIGTERM (0), a violation (1) or a cluster that does not answer (2)."""
    wanted = arguments()
    if wanted.with_parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    judge = Judge()
    audit = Audit(
        judge, lag=wanted.lag, read_once=wanted.read_once, authority=wanted.authority, besides=frozenset(wanted.besides)
    )
    try:
        _run(audit, from_kubeconfig(wanted.kubeconfig), once=wanted.once)
    except Violation as found:
        print(f"VIOLATION {audit.seen} {found}", flush=True)
        return 1
    except Unreachable as error:
        print(f"cannot audit: {error}", file=sys.stderr)
        return 2
    finally:
        judge.close()
        print(audit.summary(), flush=True)
    return 0


def _run(audit: Audit, access: Access, *, once: bool) -> None:
    changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
    watches = [
        Watch(access, kind, path, query, lambda *it: changes.put((Seen(), *it))) for kind, path, query in WATCHED
    ]
    if once:
        for watch in watches:
            watch.list()
        _drain(audit, changes)
        return
    ended: list[int] = []
    _on_signal(ended)
    for watch in watches:
        if not watch.start().synced.wait(SYNC_SECONDS):
            raise Unreachable(watch.trouble)
    _drain(audit, changes)
    print("watching", flush=True)
    looked = 0.0
    while not ended:
        _follow(audit, changes)
        if changes.empty() and time.monotonic() - looked > LOOK_SECONDS:
            audit.passing()
            looked = time.monotonic()
    _drain(audit, changes)


def _on_signal(ended: list[int]) -> None:
    def note(number: int, _: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)


def _follow(audit: Audit, changes: "queue.SimpleQueue[Change]") -> None:
    with suppress(queue.Empty):
        audit.take(*changes.get(timeout=LOOK_SECONDS))


def _drain(audit: Audit, changes: "queue.SimpleQueue[Change]") -> None:
    while not changes.empty():
        audit.take(*changes.get())


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # watches may be waiting for an answer that never comes
