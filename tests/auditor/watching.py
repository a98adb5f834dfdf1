"""Lists and watches a kind of object for ever, also over restarts of the API server, and tells of every change."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.auditor.access import Access, Object, Unreachable

Name = tuple[str, str]
Told = Callable[[str, Name, Object | None], None]
AGAIN_SECONDS = 0.2
STREAM_SECONDS = "300"


@dataclass
class Watch:
    """One kind; `told` is called with kind, name and the object, None for one that is gone."""

    access: Access
    kind: str
    path: str
    query: dict[str, str]
    told: Told
    synced: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""
    _known: dict[Name, str] = field(default_factory=dict)

    def start(self) -> "Watch":
        """Watch in a thread that ends with the process."""
        threading.Thread(target=self._run, daemon=True, name=f"watch {self.kind}").start()
        return self

    def _run(self) -> None:
        while True:
            try:
                version = self.list()
                self.synced.set()
                while version:
                    version = self._follow(version)
            except (Unreachable, OSError, ValueError) as error:
                self.trouble = repr(error)
                time.sleep(AGAIN_SECONDS)

    def list(self) -> str:
        """Tell of everything that is there and changed, and of what is gone; the version to watch from."""
        listing = self.access.read(self.path, self.query)
        gone = set(self._known)
        for item in listing["items"]:
            gone.discard(_name(item))
            self._changed(item)
        for name in gone:
            self._gone(name)
        return str(listing["metadata"]["resourceVersion"])

    def _follow(self, version: str) -> str:
        """Follow one watch stream to its end; the version to go on from, "" to list anew."""
        more = {"watch": "1", "resourceVersion": version, "timeoutSeconds": STREAM_SECONDS}
        with self.access.get(self.path, {**self.query, **more, "allowWatchBookmarks": "true"}) as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(event["type"], event["object"])
        return version

    def _take(self, kind: str, item: Object) -> None:
        if kind == "DELETED":
            self._gone(_name(item))
        elif kind != "BOOKMARK":
            self._changed(item)

    def _changed(self, item: Object) -> None:
        name, version = _name(item), item["metadata"]["resourceVersion"]
        if self._known.get(name) != version:
            self._known[name] = version
            self.told(self.kind, name, {**item, "kind": self.kind})  # in a list they have none

    def _gone(self, name: Name) -> None:
        if self._known.pop(name, None) is not None:
            self.told(self.kind, name, None)


def _name(item: Object) -> Name:
    return (item["metadata"].get("namespace", ""), item["metadata"]["name"])
