"""Three rotations in a row under real TLS traffic of many stacks: no handshake fails."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.auditor.beside import Beside
from tests.support.rotation import READ_ONCE
from tests.traffic import peers
from tests.traffic.run import LAG, Run
from tests.traffic.stage import operated

pytestmark = [pytest.mark.traffic, pytest.mark.timeout(1800)]

HANDSHAKES, ROTATIONS = 20_000, 3
AT_MOST_ROTATIONS = 20  # where the machine has other things to do


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Traffic on a control plane of its own."""
    if lacking := peers.missing():
        pytest.skip(f"the traffic's peers need {lacking}, which this machine does not have")
    with operated(tmp_path) as site, ExitStack() as stack:
        yield Run(site, tmp_path, stack).begin()


def test_no_handshake_fails_while_roots_are_replaced(run: Run) -> None:
    with Beside(run.site.plane.kubeconfig, LAG, READ_ONCE) as auditor:
        run.for_seconds(3)
        while run.rotations < ROTATIONS or (run.tally.total < HANDSHAKES and run.rotations < AT_MOST_ROTATIONS):
            seconds = run.rotate()
            print(f"rotation {run.rotations}: {seconds:.0f} s, {run.tally.total} handshakes", flush=True)
        run.for_seconds(2)
        print(run.end())
        print(f"auditor: {auditor.silent()}")
    assert not run.tally.failed
    assert run.tally.total >= HANDSHAKES
    stacks = {client.split()[0] for client, _, _ in run.tally.counts}
    assert stacks >= {"curl", "python", "go", "node", "java", "gnutls"}
    assert len({server for _, server, _ in run.tally.counts}) >= 4
