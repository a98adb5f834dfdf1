"""Events are said once: also when another process said them, and when the API server refuses them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import orjson
import pytest
from tests.support import fake_api as fake

from anchorline.api.meta import ObjectKey
from anchorline.errors import ClusterError
from anchorline.kube import events
from anchorline.kube.client import ApiError
from anchorline.kube.events import Events
from anchorline.plan.actions import Emit, LabelNamespace, Plan

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SHOP = Emit(about=ObjectKey("Namespace", "", "shop"), uid="", warning=True, reason="AuthorityNotFound", note="no x")
WEB = Emit(about=ObjectKey("Certificate", "shop", "web"), uid="u-1", warning=False, reason="Issuing", note="anew")


def told(story: Callable[[Events], Awaitable[object]], *answers: fake.Answer) -> list[fake.Seen]:
    """What the API server was asked in a story."""

    async def run() -> list[fake.Seen]:
        async with fake.FakeApi(*answers) as api, api.client() as client:
            await story(Events(client, "pod-a"))
            return api.seen

    return asyncio.run(run())


def created() -> fake.Answer:
    return fake.json_of({"metadata": {"name": "x"}}, 201)


async def twice(said: Events) -> None:
    await said.say(SHOP, NOW)
    await said.say(SHOP, NOW)


@pytest.mark.parametrize(
    "answer",
    [created(), *(fake.refusal(status, "Whatever") for status in (403, 404, 409))],
    ids=["created", "forbidden", "not found", "already there"],
)
def test_the_same_is_said_once_whatever_the_answer(answer: fake.Answer) -> None:
    (seen,) = told(twice, answer)
    assert (seen.method, seen.path) == ("POST", "/apis/events.k8s.io/v1/namespaces/default/events")


def test_what_the_api_server_could_not_take_is_said_again() -> None:
    async def story(said: Events) -> None:
        with pytest.raises(ApiError):
            await said.say(SHOP, NOW)
        await said.say(SHOP, NOW)

    assert len(told(story, fake.refusal(500, "InternalError"), created())) == 2


def test_what_was_said_before_this_process_is_not_said_again() -> None:
    names: list[tuple[str, str]] = []

    async def before(said: Events) -> None:
        await said.say(SHOP, NOW)
        await said.say(WEB, NOW)

    for seen in told(before, created(), created()):
        meta = orjson.loads(seen.body)["metadata"]
        names.append((meta["namespace"], meta["name"]))
    there = [{"metadata": {"namespace": namespace, "name": name}} for namespace, name in names]

    async def after(said: Events) -> None:
        await said.recall()
        await before(said)

    seen = told(after, fake.page(there[0], version="7", more="on"), fake.page(there[1], version="7"))
    assert [each.method for each in seen] == ["GET", "GET"], "two pages and no write"
    assert seen[0].query["fieldSelector"] == "reportingController=anchorline.dev/operator"


def test_a_plan_tells_only_what_was_not_said_yet() -> None:
    label = LabelNamespace(namespace="shop", enabled=True)
    plan = Plan(actions=(SHOP, label, WEB), again=True)

    async def story(said: Events) -> None:
        assert said.unsaid(plan) is plan
        await said.say(SHOP, NOW)
        assert said.unsaid(plan) == Plan(actions=(label, WEB), again=True)
        await said.say(WEB, NOW)
        assert said.unsaid(Plan(actions=(WEB,))) == Plan()

    told(story, created(), created())


def test_an_api_server_that_does_not_tell_is_an_error() -> None:
    async def story(said: Events) -> None:
        with pytest.raises(ClusterError):
            await said.recall()

    told(story, fake.refusal(403, "Forbidden"))


def test_what_was_said_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_REMEMBERED_AT_MOST", 1)

    async def story(said: Events) -> None:
        for each in (SHOP, WEB, WEB, SHOP):
            await said.say(each, NOW)

    assert len(told(story, created(), created(), created())) == 3
