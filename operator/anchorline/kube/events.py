"""What people are told by Kubernetes events: each thing once, also when another process says it after this one."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube import objects
from anchorline.kube.client import Client
from anchorline.kube.resources import EVENTS
from anchorline.plan.actions import Emit, Plan

_REGARDING = {"PrivateCA": naming.API_VERSION, "Certificate": naming.API_VERSION, "Namespace": "v1"}
_ALREADY_THERE, _FORBIDDEN, _NOT_FOUND = 409, 403, 404
# About 2 MB. What was said longest ago is forgotten first: to say it again costs one refused request.
_REMEMBERED_AT_MOST: Final = 16_384


@dataclass
class Events:
    """Says events; `identity` names this process in them.

    An event's name is made of what it says, so the API server keeps no second one, and a look at the names that are
    there tells what need not be said again.
    """

    client: Client
    identity: str
    _said: dict[str, None] = field(default_factory=dict)

    async def recall(self) -> None:
        """Learn what was said before this process led. Raises ClusterError when the API server does not tell."""
        ours = f"reportingController={objects.REPORTING_CONTROLLER}"
        async for page in self.client.pages(EVENTS, fields=ours, metadata_only=True):
            for each in page.items:
                self._remember(f"{each['metadata']['namespace']}/{each['metadata']['name']}")

    async def say(self, todo: Emit, now: datetime) -> None:
        """Say it, unless it was said. An event is a courtesy: a refused one stops no work. Raises ClusterError."""
        if self.was_said(todo):
            return
        namespace, name = _place(todo)
        obj = objects.event(
            _regarding(todo),
            todo.note,
            todo.reason,
            todo.action,
            warning=todo.warning,
            name=name,
            namespace=namespace,
            time=f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
            instance=self.identity,
        )
        try:
            await self.client.create(EVENTS, obj)
        except ClusterError as error:
            if error.status not in (_ALREADY_THERE, _FORBIDDEN, _NOT_FOUND):
                raise
        self._remember(f"{namespace}/{name}")

    def was_said(self, todo: Emit) -> bool:
        """Whether this very event was said before, as far as is remembered."""
        return "/".join(_place(todo)) in self._said

    def unsaid(self, plan: Plan) -> Plan:
        """The plan without the events that were said before."""
        kept = tuple(each for each in plan.actions if not (isinstance(each, Emit) and self.was_said(each)))
        return plan if len(kept) == len(plan.actions) else replace(plan, actions=kept)

    def _remember(self, name: str) -> None:
        self._said[name] = None
        if len(self._said) > _REMEMBERED_AT_MOST:
            del self._said[next(iter(self._said))]


def _place(todo: Emit) -> tuple[str, str]:
    """Namespace and name of the event."""
    digest = sha256(f"{todo.about}{todo.uid}{todo.reason}{todo.note}".encode()).hexdigest()[:16]
    return todo.about.namespace or "default", f"{todo.about.name}.{digest}"


def _regarding(todo: Emit) -> dict[str, Any]:
    about = {"apiVersion": _REGARDING[todo.about.kind], "kind": todo.about.kind, "name": todo.about.name}
    further = {"namespace": todo.about.namespace, "uid": todo.uid}
    return about | {key: value for key, value in further.items() if value}
