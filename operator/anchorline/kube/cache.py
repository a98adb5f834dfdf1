"""A list + watch cache: small views of all objects that a selector chooses, always whole, kept for ever up to date.

It never gives up: whatever the server says (403, the CRD is not there yet, 5xx, nobody at home) it waits and tries
again. After a 410 it lists anew, and reports what vanished meanwhile as deletions.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

from anchorline.errors import ClusterError
from anchorline.kube.cache_pending import DOUBT_SECONDS, Pending, Verdict
from anchorline.kube.cache_store import Key, Store
from anchorline.kube.cache_stream import events
from anchorline.kube.client import ApiError, Client
from anchorline.kube.resources import Resource

log = logging.getLogger("anchorline.kube.cache")

V = TypeVar("V")
Object = dict[str, Any]
# Longest time that projecting holds the event loop before others get their turn, in seconds.
_TURN: Final = 0.004
_WATCH_SECONDS: Final = 300


class Cache(Generic[V]):
    """Views of one kind.

    `project` makes the view of an object, or None when it does not belong here; it is called once for each version.
    `on_change(key, old, new)` is told of every change, old None for a new object, new None for one that is gone.
    `hydrate` is for caches of large objects, watched as metadata only: it reads the object and makes the view, and is
    called only for versions that are not our own writes; at the start `project` gets whole objects from a paged list.
    `silence` (seconds): a watch in which nothing came for so long is opened again (a bookmark comes each minute).
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        project: Callable[[Object], V | None],
        on_change: Callable[[Key, V | None, V | None], None],
        namespace: str = "",
        labels: str = "",
        metadata_only: bool = False,
        hydrate: Callable[[Key, Object], Awaitable[V | None]] | None = None,
        page: int = 500,
        silence: float = 90.0,
        backoff: tuple[float, float] = (0.2, 30.0),
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.error: ClusterError | None = None
        self._client, self._namespace, self._labels = client, namespace, labels
        self._project, self._on_change, self._hydrate = project, on_change, hydrate
        self._metadata_only, self._page, self._silence, self._backoff = metadata_only, page, silence, backoff
        self._store: Store[V] = Store()
        self._pending = Pending()
        self._unread: set[Key] = set()
        self._reading: tuple[Key, str] | None = None
        self._version = ""
        self._heard_at = time.monotonic()
        self._turn_began = self._heard_at
        self._failures = 0

    def __len__(self) -> int:
        return len(self._store)

    def get(self, key: Key) -> V | None:
        """View of (namespace, name), None when it is not there."""
        return self._store.get(key)

    def values(self) -> Iterable[V]:
        """All views; do not `await` while going through them."""
        return self._store.values()

    def in_namespace(self, namespace: str) -> list[V]:
        """All views of one namespace."""
        return self._store.in_namespace(namespace)

    def age(self) -> float:
        """Seconds since the server last said anything: a list, an event or a bookmark."""
        return time.monotonic() - self._heard_at

    def put(self, written: Object | V, resource_version: str, *, key: Key | None = None, notify: bool = True) -> None:
        """Take over an own write at once, before the watch shows it: the object as sent, or its view with its `key`.

        Nothing happens when the watch was faster, unless this very version is only just being read because of it: until
        that is done the view would be an old one. Its event will be skipped without another `project`.
        """
        if isinstance(written, dict):
            metadata = {**written["metadata"], "resourceVersion": resource_version}
            key = key or _key(metadata)
            view = self._projected(key, {**written, "metadata": metadata})
        elif key is None:
            raise ValueError("put needs the key of a view")
        else:
            view = written
        first = self._pending.wrote(key, resource_version, time.monotonic())
        if first or self._reading == (key, resource_version):
            self._set(key, view, resource_version, notify=notify)

    def forget(self, key: Key, *, notify: bool = True) -> None:
        """Take over an own deletion at once."""
        if self._store.version(key):
            self._pending.deleted(key, time.monotonic())
            self._set(key, None, "", notify=notify)

    async def run(self) -> None:
        """List, watch, and begin again, until cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._failures += 1
            except ApiError as error:
                if error.gone:
                    self._version = ""
                self._failed(error)
            except ClusterError as error:
                self._failed(error)
            await asyncio.sleep(self._pause())

    async def _list(self) -> None:
        """Read everything page by page; what the list does not have is gone."""
        began = time.monotonic()
        whole = self._hydrate is not None and not self.synced.is_set()
        listed: set[Key] = set()
        version = ""
        async for page in self._client.pages(
            self.resource,
            self._namespace,
            labels=self._labels,
            metadata_only=self._metadata_only and not whole,
            limit=self._page,
        ):
            self._heard()
            listed = set() if page.first else listed
            for obj in page.items:
                key = _key(obj["metadata"])
                listed.add(key)
                await self._listed(key, obj, began, whole=whole)
            version = page.resource_version
        for key in self._store.keys() - listed:
            if self._pending.since(key, began) is None:
                self._pending.settle(key)
                self._set(key, None, "")
                await self._yield()
        # Own writes while the list was read may be in it or not; those before it surely are.
        for key in self._pending.keys():  # noqa: SIM118 - a copy, not a dictionary
            if self._pending.since(key, began) is None:
                self._pending.settle(key)
        self._version = version
        self._answered()
        self.synced.set()

    async def _listed(self, key: Key, obj: Object, began: float, *, whole: bool) -> None:
        """Take an object of a list, unless we wrote it since the list began and the list is another version."""
        version = obj["metadata"]["resourceVersion"]
        own = self._pending.since(key, began)
        if own is not None and own != version:
            self._unread.add(key)
            return
        self._pending.settle(key)
        if self._store.version(key) != version:
            await self._take(key, obj, version, whole=whole)
        await self._yield()

    async def _watch(self) -> None:
        """Follow one watch until its end."""
        seconds = random.randint(_WATCH_SECONDS * 4 // 5, _WATCH_SECONDS)  # noqa: S311 - so that not all end at once
        query = {
            "labelSelector": self._labels,
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        response = await self._client.watch(self.resource, self._namespace, query, metadata_only=self._metadata_only)
        try:
            self._answered()
            await self._reread()
            async for event in events(response, silence=self._silence):
                await self._event(event["type"], event["object"])
                self._failures = 0
        finally:
            response.close()

    async def _event(self, kind: str, obj: Object) -> None:
        self._heard()
        if kind == "ERROR":
            raise _error_of(self.resource, obj)
        version = obj["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            self._version = version
            await self._reread()
            return
        key = _key(obj["metadata"])
        verdict = self._pending.judge(key, version, deletion=kind == "DELETED")
        if verdict is Verdict.NEWS and kind == "DELETED":
            self._set(key, None, "")
        elif verdict is Verdict.NEWS and self._store.version(key) != version:
            await self._take(key, obj, version, whole=False)
        self._version = version
        await self._yield()

    async def _take(self, key: Key, obj: Object, version: str, *, whole: bool) -> None:
        """Make the view of an object that is news, reading it whole if need be."""
        began = time.monotonic()
        if self._hydrate is None or whole:
            view = self._projected(key, obj)
        else:
            self._reading = (key, version)
            try:
                view = await self._hydrate(key, obj)
            except ClusterError as error:
                # The others must not wait for this one: it is read again with the next bookmark.
                self._unread.add(key)
                log.warning("an object could not be read: %s", error)
                return
            finally:
                self._reading = None
            if self._pending.since(key, began) is not None:
                return  # written by us while it was read
        self._set(key, view, version)

    async def _reread(self) -> None:
        """Read what is in doubt: own writes that no event showed, and objects that could not be read."""
        for key in self._unread | set(self._pending.doubtful(time.monotonic() - DOUBT_SECONDS)):
            try:
                await self._read(key)
            except ClusterError as error:
                self._unread.add(key)
                log.warning("an object stays in doubt: %s", error)

    async def _read(self, key: Key) -> None:
        """Read one object and believe what is there, unless we write it meanwhile."""
        began = time.monotonic()
        metadata_only = self._metadata_only and self._hydrate is None
        obj = await self._client.find(self.resource, key[1], key[0], metadata_only=metadata_only)
        self._unread.discard(key)
        if self._pending.since(key, began) is not None:
            return
        self._pending.settle(key)
        if obj is None or not self._selected(obj):
            self._set(key, None, "")
        else:
            self._set(key, self._projected(key, obj), obj["metadata"]["resourceVersion"])

    def _selected(self, obj: Object) -> bool:
        """Whether an object has the labels of our selector (of which we use equality only)."""
        labels = obj["metadata"].get("labels") or {}
        wanted = (part.partition("=") for part in self._labels.split(",") if part)
        return all(labels.get(name) == value if same else name in labels for name, same, value in wanted)

    def _projected(self, key: Key, obj: Object) -> V | None:
        """Make a view; an object that breaks the projection keeps its old one and never stops the others."""
        try:
            return self._project(obj)
        except Exception as error:  # noqa: BLE001 - whatever is in one object must not stop the others
            # The text of the error may quote the object, which may be a Secret.
            log.error("%s cannot be used: %s", self.resource.describe(*key), type(error).__name__)  # noqa: TRY400
            return self._store.get(key)

    def _set(self, key: Key, view: V | None, version: str, *, notify: bool = True) -> None:
        old = self._store.get(key)
        if view is None:
            self._store.remove(key)
        else:
            self._store.put(key, view, version)
        if notify and (old is not None or view is not None):
            try:
                self._on_change(key, old, view)
            except Exception:
                log.exception("the change of %s was not taken", self.resource.describe(*key))

    async def _yield(self) -> None:
        """Let others run when projecting has held the loop for long enough."""
        now = time.monotonic()
        if now - self._turn_began > _TURN:
            await asyncio.sleep(0)
            self._turn_began = time.monotonic()

    def _heard(self) -> None:
        self._heard_at = time.monotonic()

    def _answered(self) -> None:
        """The server does as it is asked; `backoff` starts afresh with an event only, lest it spin."""
        if self.error:
            log.info("the cache of %s goes on", self.resource.plural)
        self.error = None

    def _failed(self, error: ClusterError) -> None:
        if self.error is None or self.error.message != error.message:
            log.warning("the cache of %s waits: %s", self.resource.plural, error)
        self.error = error
        self._failures += 1

    def _pause(self) -> float:
        """Seconds before the next try: the first value of `backoff`, doubled up to the second, half of it jitter."""
        least, most = self._backoff
        doublings = min(max(self._failures - 1, 0), 16)
        return min(most, least * (1 << doublings)) * random.uniform(0.5, 1)  # noqa: S311 - jitter


def _key(metadata: Mapping[str, Any]) -> Key:
    return metadata.get("namespace", ""), metadata["name"]


def _error_of(resource: Resource, status: Mapping[str, Any]) -> ApiError:
    """Make the error of an ERROR event, whose object is a metav1.Status."""
    return ApiError(
        f"cannot go on watching {resource.plural}: {status.get('message', 'no explanation')}",
        status=int(status.get("code") or 500),
        server_reason=str(status.get("reason") or ""),
    )
