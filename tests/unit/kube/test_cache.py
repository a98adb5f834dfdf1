"""The cache when watches break, lie about the past, or race with our own writes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support import fake_api as fake

from anchorline.kube import resources as r
from anchorline.kube.cache import Cache
from anchorline.kube.cache_stream import Lines

Change = tuple[str, str | None, str | None]
Story = Callable[["Watched"], Awaitable[None]]


class Watched:
    """A cache of `data.value`, what it told, and how often it projected."""

    def __init__(self, api: fake.FakeApi, client: Any, **options: Any) -> None:
        self.api = api
        self.changes: list[Change] = []
        self.projected: list[str] = []
        self.cache: Cache[str] = Cache(
            client,
            r.CONFIG_MAPS,
            project=self._project,
            on_change=lambda key, old, new: self.changes.append((key[1], old, new)),
            backoff=(0.001, 0.01),
            **options,
        )

    def _project(self, obj: dict[str, Any]) -> str | None:
        self.projected.append(obj["metadata"]["resourceVersion"])
        value = obj["data"]["value"]
        if value == "broken":
            raise ValueError(value)
        return value or None

    @property
    def values(self) -> dict[str, str | None]:
        """All names with their values."""
        return {name: self.cache.get(("shop", name)) for name in "abc" if self.cache.get(("shop", name))}

    async def asked(self, requests: int) -> None:
        """Wait until so many requests came."""
        await fake.until(lambda: len(self.api.seen) >= requests, f"{requests} requests")


def run(story: Story, *answers: fake.Answer, **options: Any) -> Watched:
    async def whole() -> Watched:
        async with fake.FakeApi(*answers) as api, api.client() as client:
            watched = Watched(api, client, **options)
            task = asyncio.create_task(watched.cache.run())
            try:
                await story(watched)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            return watched

    return asyncio.run(whole())


cm = fake.config_map


def test_what_vanished_while_nobody_looked_is_reported_after_410() -> None:
    watched = run(
        lambda w: w.asked(4),
        fake.page(cm("a", "1", "x"), cm("b", "2", "y"), version="5"),
        fake.watch(fake.expired()),
        fake.page(cm("b", "2", "y"), cm("c", "7", "z"), version="8"),
    )
    assert watched.changes == [("a", None, "x"), ("b", None, "y"), ("c", None, "z"), ("a", "x", None)]
    assert watched.projected == ["1", "2", "7"]  # b is the same version: not projected again
    assert len(watched.cache) == 2
    assert sorted(watched.cache.in_namespace("shop")) == sorted(watched.cache.values()) == ["y", "z"]


def test_half_a_line_is_dropped_and_the_watch_goes_on_from_the_last_whole_one() -> None:
    line = fake.event("ADDED", cm("b", "7", "y"))
    watched = run(
        lambda w: w.asked(4),
        fake.page(cm("a", "1", "x"), version="5"),
        fake.watch(fake.event("MODIFIED", cm("a", "6", "xx")), line[:20]),
        fake.watch(line),
    )
    assert [each.query.get("resourceVersion") for each in watched.api.seen] == [None, "5", "6", "7"]
    assert watched.values == {"a": "xx", "b": "y"}


def test_it_never_gives_up() -> None:
    async def story(watched: Watched) -> None:
        await watched.cache.synced.wait()
        assert watched.cache.error is None

    watched = run(
        story,
        fake.refusal(403, "Forbidden"),
        fake.refusal(404, "NotFound"),
        fake.refusal(500, "InternalError"),
        fake.page(cm("a", "1", "x"), version="5"),
    )
    assert watched.values == {"a": "x"}


def test_a_watch_that_says_nothing_is_opened_again() -> None:
    watched = run(lambda w: w.asked(3), fake.page(version="5"), fake.watch(end=False), silence=0.05)
    assert watched.api.seen[-1].query["resourceVersion"] == "5"


def test_a_bookmark_moves_the_watch_and_makes_the_cache_young() -> None:
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "42"}}
    watched = run(lambda w: w.asked(3), fake.page(version="5"), fake.watch(fake.event("BOOKMARK", bookmark)))
    assert watched.api.seen[-1].query["resourceVersion"] == "42"
    assert watched.cache.age() < 5


def test_one_object_that_cannot_be_read_does_not_stop_the_others() -> None:
    watched = run(lambda w: w.asked(2), fake.page(cm("a", "1", "broken"), cm("b", "2", "y"), version="5"))
    assert watched.values == {"b": "y"}


def held_back(story: Callable[[Watched], None], *events: bytes) -> Watched:
    """List `a` at version 1, let `story` write, and only then send events."""
    gate = asyncio.Event()

    async def answer(request: Any) -> Any:
        await gate.wait()
        return await fake.watch(*events)(request)

    async def whole(watched: Watched) -> None:
        await watched.cache.synced.wait()
        story(watched)
        gate.set()
        await watched.asked(3)

    return run(whole, fake.page(cm("a", "1", "x"), version="5"), answer)


def test_our_own_write_is_there_at_once_and_its_event_is_skipped() -> None:
    def write(watched: Watched) -> None:
        watched.cache.put(cm("a", "", "ours"), "9")
        assert watched.values == {"a": "ours"}

    watched = held_back(write, fake.event("MODIFIED", cm("a", "9", "ours")))
    assert watched.projected == ["1", "9"]
    assert watched.changes == [("a", None, "x"), ("a", "x", "ours")]


def test_an_older_event_never_undoes_our_own_write() -> None:
    older, own, newer = (fake.event("MODIFIED", cm("a", v, t)) for v, t in (("7", "old"), ("9", "ours"), ("11", "new")))
    watched = held_back(lambda w: w.cache.put(cm("a", "", "ours"), "9"), older, own)
    assert watched.values == {"a": "ours"}
    watched = held_back(lambda w: w.cache.put(cm("a", "", "ours"), "9"), older, own, newer)
    assert [new for _, _, new in watched.changes] == ["x", "ours", "new"]


def test_what_we_deleted_does_not_come_back_by_an_older_event() -> None:
    older, gone = fake.event("MODIFIED", cm("a", "7", "old")), fake.event("DELETED", cm("a", "9", "old"))
    again = fake.event("ADDED", cm("a", "12", "again"))
    watched = held_back(lambda w: w.cache.forget(("shop", "a")), older, gone)
    assert watched.values == {}
    watched = held_back(lambda w: w.cache.forget(("shop", "a")), older, gone, again)
    assert watched.values == {"a": "again"}


def test_deleted_and_made_again_by_us_survives_the_event_of_the_deletion() -> None:
    def write(watched: Watched) -> None:
        watched.cache.forget(("shop", "a"))
        watched.cache.put("second", "10", key=("shop", "a"))

    gone, made = fake.event("DELETED", cm("a", "9", "x")), fake.event("ADDED", cm("a", "10", "second"))
    watched = held_back(write, gone, made)
    assert watched.values == {"a": "second"}


def test_an_answer_that_is_slower_than_the_watch_changes_nothing() -> None:
    async def story(watched: Watched) -> None:
        await watched.asked(3)
        watched.cache.put(cm("a", "", "ours"), "9")

    events = [fake.event("MODIFIED", cm("a", v, t)) for v, t in (("9", "ours"), ("11", "newer"))]
    watched = run(story, fake.page(version="5"), fake.watch(*events))
    assert watched.values == {"a": "newer"}


def test_a_write_before_a_list_is_settled_by_the_list() -> None:
    async def story(watched: Watched) -> None:
        watched.cache.put("lost", "3", key=("shop", "a"))
        await watched.asked(2)

    assert run(story, fake.page(cm("b", "4", "y"), version="5")).values == {"b": "y"}


def test_large_objects_are_read_only_when_somebody_else_wrote_them() -> None:
    read: list[str] = []

    async def hydrate(_: tuple[str, str], obj: dict[str, Any]) -> str:
        read.append(obj["metadata"]["resourceVersion"])
        return "read"

    bare = {"metadata": cm("a", "11")["metadata"]}
    own = {"metadata": cm("a", "9")["metadata"]}

    async def answer(request: Any) -> Any:
        return await fake.watch(fake.event("MODIFIED", own), fake.event("MODIFIED", bare))(request)

    async def story(watched: Watched) -> None:
        watched.cache.put(cm("a", "", "ours"), "9")
        await watched.asked(3)

    first = fake.page(cm("a", "9", "ours"), version="9")
    watched = run(story, first, answer, metadata_only=True, hydrate=hydrate)
    assert read == ["11"]
    assert watched.values == {"a": "read"}


def test_an_own_write_counts_at_once_though_the_watch_was_faster() -> None:
    reading, go = asyncio.Event(), asyncio.Event()
    seen: list[str | None] = []

    async def hydrate(_: tuple[str, str], obj: dict[str, Any]) -> str:
        version = obj["metadata"]["resourceVersion"]
        if version == "11":
            reading.set()
            await go.wait()
        return f"read {version}"

    async def story(watched: Watched) -> None:
        await reading.wait()
        for version in ("10", "11"):  # of what the watch has shown, only that which is being read
            watched.cache.put(f"written {version}", version, key=("shop", "a"))
            seen.append(watched.cache.get(("shop", "a")))
        go.set()
        await watched.asked(3)

    first = fake.page(cm("a", "9", "old"), version="9")
    shown = (fake.event("MODIFIED", {"metadata": cm("a", version)["metadata"]}) for version in ("10", "11"))
    watched = run(story, first, fake.watch(*shown), metadata_only=True, hydrate=hydrate)
    assert seen == ["read 10", "written 11"]
    assert watched.values == {"a": "read 11"}


def test_lines_are_cut_wherever_the_chunks_end() -> None:
    text = b'{"a":1}\n{"b":2}\n\n{"c":3}\n{"half'
    for size in (1, 2, 7, 8, 9, 100):
        lines = Lines()
        chunks = [text[at : at + size] for at in range(0, len(text), size)]
        assert [line for chunk in chunks for line in lines.feed(chunk)] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
