"""The parts of the demo that judge: metrics, clients' words, mounted folders, the phase of a rotation."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest

from anchorline.cli import demo
from anchorline.cli.demo import clients, kubelet, progress, restart
from anchorline.cli.demo.stage import Untrue, require
from anchorline.cli.demo.traffic import Tally
from anchorline.cli.demo.waiting import until
from anchorline.cli.main import parser

METRICS = """\
anchorline_leader 1.0
anchorline_certificates_issued_total{reason="Renewing"} 2.0
anchorline_certificates_issued_total{reason="Rotating"} 3.0
anchorline_certificates_issued_created{reason="Renewing"} 1.7e9
"""


def test_metrics_are_summed_over_their_labels_or_pinned() -> None:
    assert restart._metric(METRICS, "anchorline_leader") == 1
    assert restart._metric(METRICS, "anchorline_certificates_issued_total") == 5
    assert restart._metric(METRICS, 'anchorline_certificates_issued_total{reason="Rotating"}') == 3
    assert restart._metric("", "anchorline_leader") == 0


@pytest.mark.parametrize(
    ("output", "telling"),
    [
        ("CONNECTED\nPeer certificate: x\nVerification: OK\n", "Verification: OK"),
        (
            "curl: (60) SSL certificate problem: unable\nMore details here\n",
            "curl: (60) SSL certificate problem: unable",
        ),
        ("hello\nworld\n", "hello"),
        ("", "(nothing)"),
    ],
)
def test_the_line_that_says_most_is_shown(output: str, telling: str) -> None:
    assert clients.words(output) == telling


def test_an_untrue_claim_is_one_sentence() -> None:
    require(1, "never said")
    with pytest.raises(Untrue, match="it is not so"):
        require([], "it is not so")
    with pytest.raises(Untrue, match="not within 0 s: rain"):
        until(lambda: False, "rain", seconds=0)


def test_a_changed_secret_is_mounted_whole_and_stays_readable_under_its_old_version(tmp_path: Path) -> None:
    place = kubelet.Kubelet.__new__(kubelet.Kubelet)
    place.folder, place._number, place._ended, place._lock = tmp_path, 0, False, threading.Lock()
    place.leaves, place.stores = kubelet.Watch.__new__(kubelet.Watch), kubelet.Watch.__new__(kubelet.Watch)
    place.leaves.seen, place.stores.seen = {}, {}
    key = ("north", "front-tls")
    for content in (b"one", b"two"):
        place.leaves.seen[key] = {"kind": "Secret", "data": {"tls.crt": base64.b64encode(content).decode()}}
        place._mount(key)
        if content == b"one":
            before = place.mounted(*key).resolve()
    assert (place.mounted(*key) / "tls.crt").read_bytes() == b"two"
    assert (before / "tls.crt").read_bytes() == b"one"
    place._end()
    place.leaves.seen[key] = {"kind": "Secret", "data": {}}
    place._mount(key)
    assert (place.mounted(*key) / "tls.crt").read_bytes() == b"two"


def test_objects_of_a_watch_are_taken_apart_by_their_last_line() -> None:
    watch = kubelet.Watch.__new__(kubelet.Watch)
    watch.seen, watch._changed = {}, None
    text = '{\n    "metadata": {\n        "name": "a"\n    }\n}\n{\n    "metadata": {\n        "name": "b"\n    }\n}\n'
    watch._read([line.encode() for line in text.splitlines(keepends=True)])
    assert list(watch.seen) == [("", "a"), ("", "b")]


@pytest.mark.parametrize(
    ("phases", "phase"),
    [
        ({}, "before"),
        ({1: "Active"}, "before"),
        ({1: "Active", 2: "Distributing"}, "Distributing"),
        ({1: "Active", 2: "Active"}, "Active"),
        ({1: "Retiring", 2: "Active"}, "Retiring"),
        ({1: "Retired", 2: "Active"}, "Retired"),
    ],
)
def test_a_rotation_has_one_phase(phases: dict[int, str], phase: str) -> None:
    parts: dict[str, Any] = {"waiting": "", "stores": (2, 2), "leaves": (4, 4)}
    now = progress.Progress(phases=phases, mounted_old=0, **parts)
    assert now.phase == phase
    assert now.done == (phase == "Retired")
    assert not progress.Progress(phases=phases, mounted_old=1, **parts).done


def test_failures_are_counted_with_their_client_and_phase() -> None:
    tally = Tally()
    tally.count("curl", "")
    tally.phase = "Retiring"
    tally.count("curl", "refused")
    assert (tally.total, tally.of("curl"), tally.failures) == (2, 2, ["curl, Retiring: refused"])


def test_the_command_is_there_and_needs_nothing_of_the_lab_to_be_parsed() -> None:
    arguments = parser().parse_args(["demo", "--fast", "--keep"])
    assert arguments.func is demo._run
    assert (arguments.fast, arguments.keep, arguments.skip_rotation, arguments.kubeconfig) == (True, True, False, None)
