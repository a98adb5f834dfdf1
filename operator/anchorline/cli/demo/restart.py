"""Chapter 5: the operator is killed and started again, and the API server's audit log says what that cost."""

import re

from anchorline.cli.demo.scene import OPERATOR_USER, Object, Scene
from anchorline.cli.demo.stage import Stage, require
from anchorline.cli.demo.waiting import until
from anchorline.lab import AuditEvent, AuditLog

KINDS = "privatecas,certificates.anchorline.dev,secrets,configmaps,namespaces"


def play(scene: Scene) -> None:
    """Kill, start, count."""
    stage = scene.stage
    stage.chapter("The operator is killed with -9 and started again")
    log = AuditLog(scene.cluster.audit_log) if scene.cluster.audit_log else None
    before, mark = _versions(scene), log.mark() if log else 0
    operator = scene.running["operator"]
    stage.ran("kill", "-9", str(operator.pid))
    operator.kill()
    scene.start_operator()
    scene.await_ready("operator")
    until(lambda: _settled(scene), "the operator leads, and has looked at everything", seconds=60)
    looked = _metric(scene.answers("operator", "/metrics"), "anchorline_reconcile_duration_seconds_count")
    stage.came(f"ready, leading, {looked:.0f} looks at objects, nothing left in its queue")
    _judge(stage, log.since(mark, user=OPERATOR_USER) if log else None)
    issued = _metric(scene.answers("operator", "/metrics"), "anchorline_certificates_issued_total")
    changed = [name for name, version in _versions(scene).items() if before.get(name) != version]
    require(not changed, f"objects changed by a restart: {', '.join(changed)}")
    require(issued == 0, f"the restart issued {issued:.0f} certificates")
    what = "0 issuances, 0 writes but its Lease" if log else "0 issuances, 0 objects changed"
    stage.shows(f"{what}; every resourceVersion is as before", summary=what)


def _judge(stage: Stage, events: list[AuditEvent] | None) -> None:
    if events is None:
        stage.note("no audit log at hand on this cluster: resourceVersions are compared instead")
        return
    writes = [each for each in events if each.write]
    lease = [each for each in writes if each.resource == "leases"]
    others = [f"{each.verb} {each.resource} {each.namespace}/{each.name}" for each in writes if each not in lease]
    stage.note(f"audit log of the API server, {OPERATOR_USER}, since the kill:")
    reads = sum(not each.write for each in events)
    stage.came(
        f"reads and watches       {reads}\n"
        f"writes to its own Lease {len(lease)} ({', '.join(sorted({f'{e.verb} {e.name}' for e in lease})) or 'none'})\n"
        f"all other writes        {len(others)}"
    )
    require(reads, "the audit log does not show the operator at all: nothing can be told from it")
    require(not others, f"the restart wrote: {', '.join(others)}")


def _settled(scene: Scene) -> bool:
    text = scene.answers("operator", "/metrics")
    enough = {"PrivateCA": 1, "Certificate": 1, "Namespace": 1}
    looks = [f'anchorline_reconcile_duration_seconds_count{{kind="{kind}"}}' for kind in enough]
    return (
        _metric(text, "anchorline_leader") == 1
        and all(_metric(text, each) >= 1 for each in looks)
        and _metric(text, "anchorline_workqueue_depth") == 0
    )


def _metric(text: str, name: str) -> float:
    """Sum of a metric over its labels; `name` may pin them."""
    pattern = re.compile(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", re.MULTILINE)
    return sum(float(value) for value in pattern.findall(text))


def _versions(scene: Scene) -> dict[str, str]:
    """The resourceVersion of everything that the operator could have changed."""

    def name(item: Object) -> str:
        meta = item["metadata"]
        return f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"

    items = scene.read(KINDS, "-A").get("items", [])
    return {name(each): each["metadata"]["resourceVersion"] for each in items}
