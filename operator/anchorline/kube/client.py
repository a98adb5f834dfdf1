"""The API server, as asynchronous calls that cost little: read, list, write, apply, delete.

Objects are plain dictionaries, as in JSON. Errors are ApiError (the server refused) or ClusterError with status 0
(no answer, or `may_write` has forbidden to send it). Only a 429 and, for reads, a broken connection are tried again
here.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube import client_requests as requests
from anchorline.kube import protobuf as protobuf_format
from anchorline.kube.client_errors import ApiError, refusal
from anchorline.kube.client_requests import Listing, OnRequest
from anchorline.kube.client_transport import Answer, Transport
from anchorline.kube.connection import Connection
from anchorline.kube.resources import Resource

__all__ = ["ApiError", "Client", "Listing", "OnRequest"]

DEFAULT_TIMEOUT: Final = 30.0
Object = dict[str, Any]
_BAD: Final = 400


class Client:
    """Calls to one API server; `async with Client(connection) as client`.

    `timeout` is in seconds and bounds each call that does not say `within`; `on_request` is told verb, resource,
    status (0: no answer) and seconds of each.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        on_request: OnRequest | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connection = connection
        self.on_request = on_request
        # Asked right before each write is sent: a process that stood still may lead no more when it goes on.
        self.may_write: Callable[[Resource], bool] = lambda _resource: True
        self._transport = Transport(connection, timeout=timeout, clock=clock)

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    @property
    def server_time(self) -> datetime | None:
        """The API server's clock now (UTC), to about a second; None before its first answer."""
        return self._transport.server_time

    @property
    def clock_offset(self) -> float | None:
        """Seconds by which the API server's clock is ahead of ours (about a second exact); None before an answer."""
        return self._transport.clock_offset

    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        metadata_only: bool = False,
        within: float | None = None,
    ) -> Object:
        """Read one object, as the cluster has agreed on it. Raises ApiError, with `not_found` when it is not there."""
        headers = requests.reading(metadata_only=metadata_only)
        return await self._call("get", resource, "GET", namespace, name, headers=headers, within=within)

    async def find(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        metadata_only: bool = False,
        within: float | None = None,
    ) -> Object | None:
        """Read one object, None when it is not there.

        A kind that is not there (a CRD not yet served by an API server that starts) is an error: it says nothing of
        the object, and what is taken for deleted loses its keys.
        """
        try:
            return await self.get(resource, name, namespace, metadata_only=metadata_only, within=within)
        except ApiError as error:
            if error.not_found and error.server_reason == "NotFound":
                return None
            raise

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        limit: int = 500,
    ) -> Listing:
        """Read all objects that the selectors choose, `limit` a page."""
        items: list[Object] = []
        version = ""
        async for page in self.pages(
            resource, namespace, labels=labels, fields=fields, metadata_only=metadata_only, limit=limit
        ):
            items = items + page.items if not page.first else page.items
            version = page.resource_version
        return Listing(items, version)

    async def pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        metadata_only: bool = False,
        limit: int = 500,
    ) -> AsyncIterator[Listing]:
        """Yield a list page by page; when its token expires (410) it begins anew, in one page: see `first`."""
        query: dict[str, str | int | bool] = {"labelSelector": labels, "fieldSelector": fields, "limit": limit}
        headers = requests.reading(metadata_only=metadata_only, many=True)
        first = True
        while True:
            try:
                body = await self._call("list", resource, "GET", namespace, query=query, headers=headers)
            except ApiError as error:
                if not error.gone or first:
                    raise
                first, query["continue"], query["limit"] = True, "", ""
                continue
            metadata = body.get("metadata") or {}
            yield Listing(body.get("items") or [], str(metadata.get("resourceVersion", "")), first)
            first, query["continue"] = False, metadata.get("continue") or ""
            if not query["continue"]:
                return

    async def watch(
        self, resource: Resource, namespace: str, query: requests.Query, *, metadata_only: bool = False
    ) -> aiohttp.ClientResponse:
        """Open a watch; the answer's body is one event a line, and the caller's to read and close. Raises ApiError."""
        target = requests.target(resource.path(namespace), {"watch": True, **query})
        started = time.monotonic()
        response: aiohttp.ClientResponse | None = None
        try:
            response = await self._transport.stream(target, headers=requests.reading(metadata_only=metadata_only))
        finally:
            self._report("watch", resource, response.status if response is not None else 0, started)
        if response.status < _BAD:
            return response
        try:
            body = await response.content.read(2**16)
        finally:
            response.close()
        raise refusal("watch", resource, resource.describe(namespace), response.status, body)

    async def create(
        self,
        resource: Resource,
        obj: Object,
        *,
        protobuf: bool = False,
        dry_run: bool = False,
        within: float | None = None,
    ) -> Object:
        """Create an object (POST): an ApiError with `already_exists` when somebody has that name.

        Returns the server's object, with `protobuf` (Secrets and ConfigMaps) its metadata only.
        """
        namespace = obj["metadata"].get("namespace", "")
        headers, body = _encoded(resource, obj, protobuf=protobuf)
        query = {"dryRun": "All" if dry_run else "", "fieldManager": naming.FIELD_MANAGER}
        what = resource.describe(namespace, obj["metadata"].get("name", ""))
        return await self._call(
            "create", resource, "POST", namespace, query=query, headers=headers, body=body, within=within, what=what
        )

    async def replace(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str = "",
        protobuf: bool = False,
        dry_run: bool = False,
        within: float | None = None,
    ) -> Object:
        """Replace an object, or what a subresource is of it, whole (PUT).

        Raises ApiError with `conflict` when its resourceVersion is not `obj`'s any more, ValueError when `obj` has
        none: it would overwrite whatever is there.
        """
        metadata = obj["metadata"]
        if not metadata.get("resourceVersion"):
            raise ValueError("replace needs metadata.resourceVersion, of the object that was read")
        headers, body = _encoded(resource, obj, protobuf=protobuf)
        query = {"dryRun": "All" if dry_run else "", "fieldManager": naming.FIELD_MANAGER}
        place = metadata.get("namespace", ""), metadata["name"], subresource
        return await self._call(
            "update", resource, "PUT", *place, query=query, headers=headers, body=body, within=within
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> bool:
        """Delete an object if it still has this uid and resourceVersion; False when it was gone.

        Raises ApiError with `conflict` when it is another one by now.
        """
        conditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": conditions,
            "propagationPolicy": "Background",
            # Here and not in the query, which the server does not read when there is a body.
            "dryRun": ["All"] if dry_run else [],
        }
        headers = requests.sending(requests.JSON)
        try:
            await self._call("delete", resource, "DELETE", namespace, name, headers=headers, body=orjson.dumps(options))
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return True

    async def apply(
        self,
        resource: Resource,
        obj: Object,
        *,
        subresource: str = "",
        force: bool = True,
        manager: str = naming.FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply (KEP-555): own exactly the fields in `obj`, taking them from others when `force`."""
        metadata = obj["metadata"]
        query: requests.Query = {"fieldManager": manager, "force": force, "dryRun": "All" if dry_run else ""}
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return await self._call(
            "apply", resource, "PATCH", metadata.get("namespace", ""), metadata["name"], subresource,
            query=query, headers=requests.sending(requests.APPLY), body=orjson.dumps(whole),
        )  # fmt: skip

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        patch: Object,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Change the fields in `patch`, None removes one (RFC 7396)."""
        query = {"fieldManager": naming.FIELD_MANAGER, "dryRun": "All" if dry_run else ""}
        headers = requests.sending(requests.MERGE)
        return await self._call(
            "patch",
            resource,
            "PATCH",
            namespace,
            name,
            subresource,
            query=query,
            headers=headers,
            body=orjson.dumps(patch),
        )

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send anything to an escaped path (`/version`); any status is an answer. Raises ClusterError."""
        return await self._transport.send(method, path, headers=headers or requests.sending(requests.JSON), body=body)

    async def _call(
        self,
        verb: str,
        resource: Resource,
        method: str,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        *,
        headers: Mapping[str, str],
        query: requests.Query | None = None,
        body: bytes | None = None,
        within: float | None = None,
        what: str = "",
    ) -> Object:
        """Send, count, and turn a refusal into its error."""
        target = requests.target(resource.path(namespace, name, subresource), query)
        what = what or resource.describe(namespace, name)
        if method != "GET" and not self.may_write(resource):
            raise ClusterError(f"{what} is not written: this process does not lead any more")
        started, status = time.monotonic(), 0
        try:
            answer = await self._transport.send(method, target, headers=headers, body=body, within=within)
            status = answer.status
        finally:
            self._report(verb, resource, status, started)
        if status >= _BAD:
            raise refusal(verb, resource, what, status, answer.body)
        return requests.content(answer, what)

    def _report(self, verb: str, resource: Resource, status: int, started: float) -> None:
        if self.on_request:
            self.on_request(verb, resource, status, time.monotonic() - started)


def _encoded(resource: Resource, obj: Object, *, protobuf: bool) -> tuple[Mapping[str, str], bytes]:
    """Encode a whole object, with kind and apiVersion (which objects from lists do not have)."""
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    if protobuf:
        return requests.PROTOBUF_HEADERS, protobuf_format.encode(whole)
    return requests.sending(requests.JSON), orjson.dumps(whole)
