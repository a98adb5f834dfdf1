"""Story 4: a root is replaced under traffic between pods, with the kubelet's real delays: no failed handshake."""

import time

from tests.e2e.runtimes import REACHED, Runtime
from tests.e2e.stage import Object, Stage, awaited, container, pod, pod_spec

SPACE = "busy"
ROTATION = {"propagation": "100s", "reissueOver": "0s", "overlap": "20s"}
# Renewed early enough for a kubelet, which brings a changed Secret within 90 s. The old root is kept for one and a half
# lives of a leaf at least.
LEAF = {"duration": "3m", "renewBefore": "100s"}
PATIENCE = 480.0


def client(runtime: Runtime, url: str, shift: str) -> Object:
    spec = pod_spec(container(*runtime.asks(url, "count")))
    return pod(f"{runtime.name}-{shift}", SPACE, spec, labels={"shift": shift})


def start(stage: Stage, url: str, shift: str) -> None:
    stage.apply(*(client(runtime, url, shift) for runtime in REACHED))
    for runtime in REACHED:
        connects(stage, f"{runtime.name}-{shift}")


def connects(stage: Stage, name: str) -> None:
    awaited(lambda: "ok" in stage.logs(name, SPACE), f"{name} connects")


def heard(stage: Stage, shift: str) -> dict[str, tuple[int, list[str]]]:
    """Return how many requests each client has made at least, and what failed."""
    said = {}
    for runtime in REACHED:
        lines = stage.logs(f"{runtime.name}-{shift}", SPACE).splitlines()
        done = [int(line.split()[1]) for line in lines if line.startswith("ok")]
        said[runtime.name] = (max(done, default=0), [line for line in lines if line.startswith("FAIL")])
    return said


class Follower:
    """Watches a rotation, and notes when it came to each phase."""

    def __init__(self, stage: Stage, ca: str) -> None:
        self._stage, self._ca, self._began = stage, ca, time.monotonic()
        self.lines: list[str] = []

    def until(self, done: str) -> None:
        """Wait until the first root is in this phase, or gone."""
        awaited(lambda: self._look() == done, f"the old root is {done}", seconds=PATIENCE)

    def _look(self) -> str:
        status = self._stage.get("privateca", self._ca)["status"]
        now = {each["number"]: each["phase"] for each in status["generations"]}
        words = ", ".join(f"root {number} {phase}" for number, phase in sorted(now.items()))
        if not self.lines or not self.lines[-1].endswith(words):
            self.lines.append(f"{time.monotonic() - self._began:6.0f} s  {words}")
        return str(now.get(1, "Retired"))


def test_no_handshake_fails_while_a_root_is_replaced(stage: Stage) -> None:
    stage.authority("turning", rotation=ROTATION, leaf={"duration": LEAF["duration"]})
    stage.namespace("turn")
    stage.namespace(SPACE, trust="turning")
    url = stage.server("web", "turn", "turning", **LEAF)
    start(stage, url, "early")
    follower = Follower(stage, "turning")
    stage.kubectl("annotate", "privateca", "turning", "anchorline.dev/rotate=a drill", "--overwrite")
    follower.until("Retiring")
    # Some of the early processes have read their trust once: the old root stays until they are gone.
    start(stage, url, "late")
    early = heard(stage, "early")
    stage.kubectl("delete", "pods", "-n", SPACE, "-l", "shift=early", "--wait=true")
    follower.until("Retired")
    awaited(lambda: min(done for done, _ in heard(stage, "late").values()) > 50, "the late ones go on", seconds=60)
    late = heard(stage, "late")
    lines = [*follower.lines, f"{'runtime':<10} requests  failed"]
    for name in early:
        made, failed = early[name][0] + late[name][0], early[name][1] + late[name][1]
        lines.append(f"{name:<10} {made:>8}  {len(failed)} {failed[:2] or ''}")
    stage.show("Story 4: a rotation under traffic between pods", lines)
    assert [name for name in early if early[name][1] or late[name][1]] == []
