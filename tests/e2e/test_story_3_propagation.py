"""Story 3: a root is added; how long until running pods' files have it, and which runtimes use it without a restart."""

import time
from datetime import UTC, datetime

from tests.e2e.runtimes import REACHED, Runtime
from tests.e2e.stage import Object, Stage, awaited, container, pod, pod_spec

SPACE = "watching"
KEPT = Runtime("python, one context", ("python3", "/opt/clients/client.py"), ("SSL_CERT_FILE",))
LOOK = 'while [ "$(grep -c BEGIN /etc/anchorline/trust/private-ca.crt)" -lt 2 ]; do sleep 0.1; done'
PATIENCE = 120.0
RELOADING = {"curl", "openssl", "python", "perl"}


def named(runtime: Runtime) -> str:
    return "".join(letter for letter in runtime.name.replace(" ", "-") if letter.isalnum() or letter == "-")


def watcher(runtime: Runtime, url: str, suffix: str = "") -> Object:
    extra = ("kept",) if runtime is KEPT else ()
    spec = pod_spec(container(*runtime.asks(url, "until"), *extra))
    return pod(named(runtime) + suffix, SPACE, spec, labels={"watcher": f"yes{suffix}"})


def ended_at(each: Object) -> float | None:
    """When a pod's container ended, as a time stamp; its precision is a second."""
    state = (each["status"].get("containerStatuses") or [{}])[0].get("state", {})
    if "terminated" not in state:
        return None
    return datetime.strptime(state["terminated"]["finishedAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def users(stage: Stage) -> set[str]:
    """Names of the clients that have connected."""
    return {each["metadata"]["name"] for each in stage.items("pods", SPACE, "watcher=yes") if ended_at(each)}


def refused(stage: Stage, name: str) -> None:
    awaited(lambda: "FAIL" in stage.logs(name, SPACE), f"{name} is refused")


def test_how_long_a_new_root_takes_to_every_running_process(stage: Stage) -> None:
    runtimes = (*REACHED, KEPT)
    stage.authority("old")
    stage.authority("new")
    stage.namespace("shop")
    stage.namespace(SPACE, trust="old")
    url = stage.server("fresh", "shop", "new")
    files = [pod(f"file{n}", SPACE, pod_spec(container("sh", "-c", LOOK)), labels={"file": "yes"}) for n in range(5)]
    stage.apply(*files, *(watcher(runtime, url) for runtime in runtimes))
    for runtime in runtimes:
        refused(stage, named(runtime))

    began = time.time()
    stage.kubectl("annotate", "namespace", SPACE, "anchorline.dev/trust=old,new", "--overwrite")
    read = [ended_at(each) or 0 for each in stage.ended(SPACE, "file=yes", len(files), seconds=PATIENCE)]
    # Each pod's file comes in its own time: those of the clients that read anew are waited for, the others seen not to.
    awaited(lambda: users(stage) >= RELOADING, f"{sorted(RELOADING)} use it", seconds=PATIENCE)
    deadline = time.time() + 15
    while time.time() < deadline and not all(ended_at(each) for each in stage.items("pods", SPACE, "watcher=yes")):
        time.sleep(0.5)
    used = {each["metadata"]["name"]: ended_at(each) for each in stage.items("pods", SPACE, "watcher=yes")}
    seconds = ", ".join(f"{max(0, moment - began):.0f}" for moment in sorted(read))
    lines = [f"the file of 5 running pods has the new root after {seconds} s"]
    once = [runtime for runtime in runtimes if used[named(runtime)] is None]
    for runtime in runtimes:
        moment = used[named(runtime)]
        lines.append(f"{runtime.name:<22} {f'uses it after {moment - began:.0f} s' if moment else 'needs a restart'}")
    stage.apply(*(watcher(runtime, url, "-again") for runtime in once))
    over = stage.ended(SPACE, "watcher=yes-again", len(once)) if once else []
    lines.append(f"after a restart all of them do: {[each['status']['phase'] for each in over]}")
    stage.show("Story 3: propagation", lines)
    assert all(each["status"]["phase"] == "Succeeded" for each in over)
    assert not RELOADING & {runtime.name for runtime in once}
