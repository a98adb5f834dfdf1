"""The keeper and the process against a small in-memory cluster: first start, replicas, foreign and broken Secrets."""

import asyncio
import base64
import copy
import itertools
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from anchorline import pki
from anchorline.api import naming
from anchorline.errors import ClusterError
from anchorline.kube import entropy
from anchorline.kube.resources import MUTATING_WEBHOOKS, Resource
from anchorline.shell.clock import Clock
from anchorline.shell.webhook import rotation, secret, serving
from anchorline.shell.webhook.arguments import Settings, add_arguments, from_arguments
from anchorline.shell.webhook.process import Webhook

START = datetime(2026, 11, 23, tzinfo=UTC)
STRANGER = pki.RootProfile(subject=pki.Subject("stranger"), not_before=START, not_after=START + timedelta(days=1))
DICE = rotation.Dice(
    key=lambda: pki.PrivateKey.wrap(ec.generate_private_key(ec.SECP256R1())), serial=entropy.new_serial
)


def a_webhook(formats: tuple[str, ...]) -> dict[str, Any]:
    url = f"https://127.0.0.1{naming.webhook_path(formats)}"
    return {"name": naming.webhook_name(formats), "clientConfig": {"url": url}}


class SmallCluster:
    """Two objects with resourceVersions; everything else of an API server is left to the contract tests."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.versions = itertools.count(1)
        self.writes: list[str] = []
        self.away = False

    def with_configuration(self) -> "SmallCluster":
        webhooks = [a_webhook(formats) for formats in naming.TRUST_LABELS.values()]
        self.put("MutatingWebhookConfiguration", {"metadata": {"name": "anchorline"}, "webhooks": webhooks})
        return self

    def put(self, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(next(self.versions))
        self.objects[kind, obj["metadata"]["name"]] = obj
        return obj

    def _reached(self) -> None:
        if self.away:
            raise ClusterError("the API server is away")

    async def find(self, resource: Resource, name: str, _namespace: str = "") -> dict[str, Any] | None:
        self._reached()
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    async def create(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        self._reached()
        if (resource.kind, obj["metadata"]["name"]) in self.objects:
            raise ClusterError("exists", status=409)
        self.writes.append(f"create {resource.kind}")
        return self.put(resource.kind, obj)

    async def replace(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        self._same_version(resource, obj)
        self.writes.append(f"replace {resource.kind}")
        return self.put(resource.kind, obj)

    async def apply(
        self, resource: Resource, obj: dict[str, Any], *, force: bool = True, manager: str = ""
    ) -> dict[str, Any]:
        assert (force, manager) == (True, "anchorline-webhook")
        self._same_version(resource, obj)
        self.writes.append(f"apply {resource.kind}")
        there = copy.deepcopy(self.objects[resource.kind, obj["metadata"]["name"]])
        applied = {each["name"]: each["clientConfig"] for each in obj["webhooks"]}
        assert applied.keys() == {each["name"] for each in there["webhooks"]}
        for each in there["webhooks"]:
            each["clientConfig"] |= applied[each["name"]]
        return self.put(resource.kind, there)

    def _same_version(self, resource: Resource, obj: dict[str, Any]) -> None:
        self._reached()
        there = self.objects.get((resource.kind, obj["metadata"]["name"]))
        if there is None or there["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise ClusterError("conflict", status=409)

    @property
    def published(self) -> tuple[pki.Certificate, ...]:
        return secret.published(self.objects.get((MUTATING_WEBHOOKS.kind, "anchorline"))) or ()

    @property
    def material(self) -> rotation.Material | None:
        return secret.decoded(self.objects["Secret", naming.WEBHOOK_SECRET])


class Time:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += timedelta(**amount)


def a_keeper(cluster: SmallCluster, time: Time, *names: str) -> serving.Keeper:
    names = names or ("anchorline-webhook.anchorline.svc", "127.0.0.1")
    settings = serving.Settings(namespace="anchorline", names=rotation.alternative_names(names))
    return serving.Keeper(cluster, settings, use=lambda _: None, dice=DICE, now=time)


def look(*keepers: serving.Keeper) -> None:
    for keeper in keepers:
        asyncio.run(keeper.look())


def test_the_first_look_makes_the_secret_and_publishes_its_ca_and_the_second_writes_nothing() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    assert keeper.ready
    look(keeper)
    assert cluster.writes == ["create Secret", "apply MutatingWebhookConfiguration"]
    assert cluster.material
    assert cluster.published == cluster.material.published


def test_a_webhook_that_an_upgrade_of_the_chart_brings_gets_its_cabundle_too() -> None:
    cluster, time = SmallCluster(), Time()
    one = {"metadata": {"name": "anchorline"}, "webhooks": [a_webhook(())]}
    cluster.put("MutatingWebhookConfiguration", one)
    keeper = a_keeper(cluster, time)
    look(keeper)
    there = cluster.objects["MutatingWebhookConfiguration", "anchorline"]
    there["webhooks"] += [a_webhook(("jks",)), {"name": "not.ours.example", "clientConfig": {}}]
    assert secret.uneven(there)
    assert cluster.published == ()
    there["webhooks"].pop()
    look(keeper)
    assert keeper.ready
    assert cluster.writes[-2:] == ["apply MutatingWebhookConfiguration"] * 2
    assert cluster.material
    assert cluster.published == cluster.material.published


def test_a_ca_that_only_one_webhook_holds_is_taken_away() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    there = cluster.objects["MutatingWebhookConfiguration", "anchorline"]
    client = there["webhooks"][1]["clientConfig"]
    right = client["caBundle"]
    stranger = pki.self_sign_root(STRANGER, DICE.key(), serial=7).pem
    client["caBundle"] = base64.b64encode(base64.b64decode(right) + stranger).decode()
    look(keeper)
    there = cluster.objects["MutatingWebhookConfiguration", "anchorline"]
    assert {each["clientConfig"]["caBundle"] for each in there["webhooks"]} == {right}


def test_a_second_replica_serves_what_the_first_made() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    one, two = a_keeper(cluster, time), a_keeper(cluster, time)
    look(one, two)
    assert one.served == two.served
    assert len(cluster.writes) == 2


def test_without_a_configuration_it_has_a_certificate_but_is_not_ready() -> None:
    cluster, time = SmallCluster(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    assert keeper.served
    assert not keeper.ready
    cluster.with_configuration()
    look(keeper)
    assert keeper.ready


def test_the_serving_certificate_is_renewed_with_a_third_of_its_life_left() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    first = keeper.served
    time.pass_(days=19.9)
    look(keeper)
    assert keeper.served == first
    time.pass_(days=0.2)
    look(keeper)
    assert keeper.served
    assert first
    assert keeper.served.pair.certificate != first.pair.certificate
    assert keeper.served.authority == first.authority


def test_a_new_ca_is_published_first_signs_after_the_grace_and_the_old_one_goes_last() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    old = keeper.served
    assert old
    for _ in range(25):
        time.pass_(days=10)
        look(keeper)
    assert len(cluster.published) == 2
    assert keeper.served
    assert keeper.served.authority == old.authority, "it must not sign before the grace period is over"
    assert cluster.material
    assert cluster.material.current.certificate == old.authority, "replicas that start now must not serve under the new"
    time.pass_(seconds=61)
    look(keeper)
    assert keeper.served.authority != old.authority
    assert old.authority in cluster.published
    for _ in range(4):
        time.pass_(days=10)
        look(keeper)
    assert cluster.published == (keeper.served.authority,)


def test_an_unreadable_secret_is_made_anew_and_what_is_served_stays_published() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    old = keeper.served
    cluster.objects["Secret", naming.WEBHOOK_SECRET]["data"]["ca.key"] = "!"
    look(keeper)
    assert keeper.served == old
    assert keeper.ready
    assert len(cluster.published) == 2
    time.pass_(seconds=61)
    look(keeper)
    assert keeper.served != old
    assert keeper.ready


def test_a_foreign_secret_of_that_name_is_left_alone() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    cluster.put("Secret", {"metadata": {"name": naming.WEBHOOK_SECRET}, "data": {}})
    keeper = a_keeper(cluster, time)
    look(keeper)
    assert cluster.writes == []
    assert not keeper.ready


def test_a_changed_cabundle_is_put_back() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    cluster.objects[MUTATING_WEBHOOKS.kind, "anchorline"]["webhooks"][0]["clientConfig"]["caBundle"] = "AAAA"
    look(keeper)
    assert keeper.ready
    assert keeper.served
    assert keeper.served.authority in cluster.published


def test_another_name_renews_and_keeps_the_names_that_others_want() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    look(a_keeper(cluster, time, "a.example"))
    look(a_keeper(cluster, time, "b.example"))
    writes = len(cluster.writes)
    look(a_keeper(cluster, time, "a.example"), a_keeper(cluster, time, "b.example"))
    assert len(cluster.writes) == writes
    assert cluster.material
    assert set(cluster.material.serving.certificate.names.dns) == {"a.example", "b.example"}


def test_no_key_is_shown() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    assert "PRIVATE" not in f"{cluster.material!r} {keeper.served!r}"
    assert "key=" not in repr(cluster.material)


def test_an_expired_certificate_is_told() -> None:
    cluster, time = SmallCluster().with_configuration(), Time()
    keeper = a_keeper(cluster, time)
    look(keeper)
    cluster.away = True
    time.pass_(days=31)
    with pytest.raises(ClusterError):
        look(keeper)
    assert keeper.expired
    assert not keeper.ready


def test_it_waits_for_the_api_server_then_serves_and_goes_on_when_it_is_away_again() -> None:
    cluster = SmallCluster().with_configuration()
    cluster.away = True
    settings = Settings(
        address="127.0.0.1", port=0, health_port=0, serving_names=("127.0.0.1",), look_again_seconds=0.1
    )

    async def status(webhook: Webhook, path: str) -> int:
        url = f"http://127.0.0.1:{webhook.ports['health']}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status

    async def main() -> None:
        webhook = Webhook(cluster, settings, "anchorline", Clock(lambda: None))
        running = asyncio.create_task(webhook.run())
        await asyncio.sleep(0.1)
        assert (await status(webhook, "/healthz"), await status(webhook, "/readyz")) == (200, 503)
        assert "reviews" not in webhook.ports
        cluster.away = False
        for _ in range(100):
            if "reviews" in webhook.ports:
                break
            await asyncio.sleep(0.05)
        assert await status(webhook, "/readyz") == 200
        cluster.away = True
        await asyncio.sleep(0.3)
        assert await status(webhook, "/readyz") == 200
        webhook.stop()
        await asyncio.wait_for(running, 5)

    uvloop.run(main())


def test_the_flags_make_the_settings() -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    flags = ["--namespace", "anchorline", "--serving-name", "127.0.0.1", "--serving-name", "hook.example"]
    settings = from_arguments(parser.parse_args(flags))
    assert settings.names("anchorline") == (
        "anchorline-webhook.anchorline.svc",
        "anchorline-webhook.anchorline.svc.cluster.local",
        "127.0.0.1",
        "hook.example",
    )
