"""The client when the server misbehaves."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from tests.support import fake_api as fake

from anchorline.errors import ClusterError, InvalidSpec, Reason
from anchorline.kube import resources as r
from anchorline.kube.client import ApiError, Client, Listing
from anchorline.kube.connection import Connection

Call = Callable[[Client], Awaitable[object]]
NEW = {"metadata": {"name": "web", "namespace": "shop"}, "data": {"tls.key": "c2VjcmV0"}}


def ask(call: Call, *answers: fake.Answer, timeout: float = 5.0) -> tuple[object, list[fake.Seen]]:
    """Make one call against a server with these answers; an error is returned, not raised."""

    async def story() -> tuple[object, list[fake.Seen]]:
        async with fake.FakeApi(*answers) as api, api.client(timeout) as client:
            try:
                return await call(client), api.seen
            except ClusterError as error:
                return error, api.seen

    return asyncio.run(story())


def test_a_write_waits_out_429_because_nothing_was_done() -> None:
    found, seen = ask(
        lambda client: client.create(r.SECRETS, NEW),
        fake.refusal(429, "TooManyRequests", Retry_After="0"),
        fake.json_of(NEW, 201),
    )
    assert found == NEW
    assert [each.method for each in seen] == ["POST", "POST"]


def test_who_may_not_write_any_more_sends_nothing_and_reads_all_the_same() -> None:
    async def call(client: Client) -> object:
        client.may_write = lambda resource: resource is r.LEASES
        for write in (
            client.create(r.SECRETS, NEW),
            client.apply(r.SECRETS, NEW),
            client.delete(r.SECRETS, "web", "shop"),
            client.merge_patch(r.NAMESPACES, "shop", "", {}),
        ):
            with pytest.raises(ClusterError, match="is not written: this process does not lead any more"):
                await write
        await client.create(r.LEASES, NEW)
        return await client.get(r.SECRETS, "web", "shop")

    found, seen = ask(call, fake.json_of(NEW, 201), fake.json_of(NEW))
    assert found == NEW
    assert [(each.method, each.path.split("/")[-2]) for each in seen] == [("POST", "shop"), ("GET", "secrets")]


def test_a_429_that_asks_for_more_patience_than_the_call_has_is_an_error() -> None:
    found, seen = ask(
        lambda client: client.create(r.SECRETS, NEW), fake.refusal(429, "TooManyRequests", Retry_After="600")
    )
    assert isinstance(found, ApiError)
    assert found.status == 429
    assert len(seen) == 1


def test_a_write_whose_connection_breaks_is_sent_once() -> None:
    found, seen = ask(lambda client: client.create(r.SECRETS, NEW), fake.reset(), fake.json_of(NEW))
    assert isinstance(found, ClusterError)
    assert found.status == 0
    assert len(seen) == 1


def test_a_read_whose_connection_breaks_is_tried_again() -> None:
    found, seen = ask(lambda client: client.get(r.SECRETS, "web", "shop"), fake.reset(), fake.json_of(NEW))
    assert found == NEW
    assert len(seen) == 2


def test_a_server_that_hangs_is_an_error_in_time() -> None:
    found, _ = ask(lambda client: client.get(r.SECRETS, "web", "shop"), fake.hang(), timeout=0.05)
    assert isinstance(found, ClusterError)
    assert (found.status, found.reason) == (0, Reason.CLUSTER_ERROR)
    assert "no answer within 0.05 s" in found.message


def test_a_list_whose_token_expires_begins_anew_in_one_page() -> None:
    one, two = fake.config_map("one", "1"), fake.config_map("two", "2")

    async def call(client: Client) -> object:
        return await client.list(r.CONFIG_MAPS, "shop", limit=1)

    found, seen = ask(
        call, fake.page(one, version="9", more="m"), fake.refusal(410, "Expired"), fake.page(one, two, version="12")
    )
    assert isinstance(found, Listing)
    assert found.items == [one, two]
    assert found.resource_version == "12"
    assert [each.query for each in seen] == [{"limit": "1"}, {"limit": "1", "continue": "m"}, {}]


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (409, "Conflict", (True, False, Reason.CONFLICT)),
        (409, "AlreadyExists", (False, True, Reason.CONFLICT)),
        (403, "Forbidden", (False, False, Reason.FORBIDDEN)),
        (500, "InternalError", (False, False, Reason.CLUSTER_ERROR)),
    ],
)
def test_refusals_can_be_told_apart(status: int, reason: str, expected: tuple[bool, bool, Reason]) -> None:
    error, _ = ask(lambda client: client.create(r.CONFIG_MAPS, NEW), fake.refusal(status, reason, "because"))
    assert isinstance(error, ApiError)
    assert (error.conflict, error.already_exists, error.reason) == expected
    assert error.message == f"cannot create ConfigMap shop/web: because ({status} {reason})"


@pytest.mark.parametrize(
    "denier",
    [
        "ValidatingAdmissionPolicy 'calm' with binding 'shop' denied request",
        'admission webhook "a.b" denied the request',
    ],
)
def test_who_denied_a_secret_is_told_and_not_what_it_quotes(denier: str) -> None:
    error, _ = ask(
        lambda client: client.create(r.SECRETS, NEW), fake.refusal(422, "Invalid", f"it failed: {denier}: c2VjcmV0")
    )
    assert isinstance(error, ApiError)
    assert error.message == f"cannot create Secret shop/web: {denier} (422 Invalid)"
    assert error.reason is Reason.FORBIDDEN


def test_what_the_server_quotes_of_a_secret_is_not_repeated() -> None:
    error, _ = ask(
        lambda client: client.create(r.SECRETS, NEW), fake.refusal(422, "Invalid", 'Invalid value: "c2VjcmV0"')
    )
    assert "c2VjcmV0" not in str(error)
    assert "t0ken" not in str(error)


def test_an_answer_in_plain_words_is_shown() -> None:
    async def plain(_: object) -> object:
        from aiohttp import web

        return web.Response(status=503, text="apiserver not ready")

    error, _ = ask(lambda client: client.get(r.PODS, "a", "b"), plain)  # type: ignore[arg-type]
    assert "apiserver not ready (503)" in str(error)


def test_the_servers_clock_is_read_from_its_answers() -> None:
    async def story() -> tuple[float | None, float | None]:
        answer = fake.json_of({}, Date="Mon, 23 Nov 2026 20:00:00 GMT")
        async with fake.FakeApi(answer) as api:
            client = api.client()
            async with Client(client.connection, clock=lambda: 1_795_464_000.0) as client:
                before = client.clock_offset
                await client.get(r.NAMESPACES, "a")
                assert client.server_time is not None
                assert client.server_time.isoformat().startswith("2026-11-23T20:00:0")
                return before, client.clock_offset

    assert asyncio.run(story()) == (None, 0.5)


def test_replace_refuses_to_overwrite_what_was_not_read() -> None:
    async def story() -> None:
        async with fake.FakeApi() as api, api.client() as client:
            with pytest.raises(ValueError, match="resourceVersion"):
                await client.replace(r.SECRETS, NEW)

    asyncio.run(story())


@pytest.mark.parametrize("server", ["10.0.0.1:6443", "api.example", "https://", "ftp://api", "https://api:port", ""])
def test_an_address_that_is_no_url_is_said(server: str) -> None:
    async def story() -> None:
        with pytest.raises(InvalidSpec, match=r"address \".*\" is no URL; write it like https://10\.0\.0\.1:6443"):
            await Client(Connection(server=server)).__aenter__()

    asyncio.run(story())


@pytest.mark.parametrize("token", ["two\nlines", "two\rlines", "t\u00f6ken"])
def test_a_token_that_cannot_be_sent_is_said_and_not_shown(token: str) -> None:
    async def story() -> ClusterError:
        async with Client(Connection(server="http://127.0.0.1:9", token=token)) as client:
            with pytest.raises(ClusterError) as caught:
                await client.get(r.SECRETS, "web", "shop")
            return caught.value

    error = asyncio.run(story())
    assert error.status == 0
    assert "has a line break or is not ASCII; look at the token" in error.message
    assert token not in error.message


def test_what_is_read_comes_compressed_and_what_is_written_does_not_ask_for_it() -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.headers.get("Accept-Encoding")))
        response = web.json_response(NEW | {"data": {"roots": "x" * 10_000}})
        response.enable_compression()
        return response

    async def story(client: Client) -> object:
        await client.create(r.SECRETS, NEW)
        return await client.get(r.SECRETS, "web", "shop")

    found, _ = ask(story, answer, answer)
    assert found == NEW | {"data": {"roots": "x" * 10_000}}
    assert asked == [("POST", None), ("GET", "gzip")]


def test_every_request_is_reported() -> None:
    reports: list[tuple[str, str, int]] = []

    async def story() -> None:
        async with fake.FakeApi(fake.json_of({}), fake.refusal(404, "NotFound"), fake.reset()) as api:
            plain = api.client()
            async with Client(plain.connection, on_request=lambda v, k, s, _: reports.append((v, k.kind, s))) as client:
                await client.get(r.PODS, "a", "b")
                assert await client.delete(r.SECRETS, "a", "b") is False
                with pytest.raises(ClusterError):
                    await client.merge_patch(r.PODS, "a", "b", {})

    asyncio.run(story())
    assert reports == [("get", "Pod", 200), ("delete", "Secret", 404), ("patch", "Pod", 0)]


def test_paths() -> None:
    assert r.SECRETS.path("shop", "web") == "/api/v1/namespaces/shop/secrets/web"
    assert r.CERTIFICATES.path() == "/apis/anchorline.dev/v1alpha1/certificates"
    assert r.PRIVATE_CAS.path("", "internal", "status") == "/apis/anchorline.dev/v1alpha1/privatecas/internal/status"
