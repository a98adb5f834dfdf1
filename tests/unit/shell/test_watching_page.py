"""Every metric is in docs/watching.md, and nothing else is."""

import re
from pathlib import Path

from anchorline.kube.client import Client
from anchorline.kube.connection import Connection
from anchorline.kube.public_roots import public_roots
from anchorline.kube.world import Surroundings, World
from anchorline.shell.metrics import Metrics
from anchorline.shell.webhook.metrics import Metrics as WebhookMetrics

DOCUMENT = Path(__file__).parents[3] / "docs" / "watching.md"


def exported() -> set[str]:
    world = World(Client(Connection(server="http://none")), Surroundings(namespace="x"), public_roots(), lambda _: None)
    world.overlooked = {}
    metrics = Metrics()
    metrics.watch(world, lambda: 0)
    text = metrics.text() + WebhookMetrics().text()
    return {
        name for name in re.findall(r"^# TYPE (\S+) ", text.decode(), re.MULTILINE) if not name.endswith("_created")
    }


def test_every_metric_is_documented_and_nothing_else_is() -> None:
    assert (
        set(re.findall(r"^\| `(anchorline_\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)) == exported()
    )


def test_names_are_in_the_style_of_the_field() -> None:
    assert all(re.fullmatch(r"anchorline(_[a-z]+)+", name) for name in exported())
