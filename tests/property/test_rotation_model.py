"""The state machine of a rotation: whatever happens, every client verifies every server after every single action.

Wall clocks: the operator's own may jump by an hour while the API server's does not; the shell corrects it by the
server's Date header, so plans see no jump and there is no rule for it. When both jump, forward, certificates age by an
hour and nothing else may change: gates count by the clock that does not jump (P1 and P2 must hold). When both jump
back, certificates made meanwhile are not yet valid: a backdate of five minutes is all that is promised, so clients
verify again when the clocks are where they were; what the operator did meanwhile is judged all the same.
"""

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.apiserver import Refused, key_of
from tests.support.builders import OPERATOR_NAMESPACE, a_namespace
from tests.support.depth import DEEP
from tests.support.rotation_model_story import (
    CAS,
    DAY,
    HOUR,
    SPACES,
    a_world,
    ca,
    certificate,
    go_on,
    judge_settled,
    one_root,
    rotate,
)

from anchorline.api import naming
from anchorline.api.meta import ObjectKey

PROFILE = settings(
    max_examples=120 if DEEP else 6,
    stateful_step_count=60 if DEEP else 40,
    # A failure is printed as it was found: shrinking hundreds of signatures would take longer than reading it.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
pytestmark = [
    pytest.mark.no_cover,  # each branch has a test of its own; tracing would halve the number of examples
    pytest.mark.timeout(1800),  # as many examples as `make deep` has take minutes
]
SHORT = (timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=6), timedelta(minutes=11))
LONG = (timedelta(hours=1), timedelta(hours=7), DAY, 9 * DAY, 50 * DAY)
NAMES = ("web", "api", "db")
REASONS = st.sampled_from(("one", "two", "three"))
WHICH = st.integers(0, 30)


class Rotations(RuleBasedStateMachine):
    """Two CAs whose roots are replaced while everything happens to them."""

    @initialize(wait=st.booleans(), reissue=st.sampled_from(("0s", "10m")), propagation=st.sampled_from(("10m", "20m")))
    def begin(self, wait: bool, reissue: str, propagation: str) -> None:
        turn = {"propagation": propagation, "reissueOver": reissue, "overlap": "1h", "waitForPods": wait}
        self.turn: dict[str, Any] = turn
        self.world = a_world(rotation=turn)
        self.backup = copy.deepcopy(self.world.api.objects)
        self.pods = 0

    # ---- time, and the operator at work

    @rule(time=st.sampled_from(SHORT), times=st.integers(1, 8))
    def time_passes_under_watch(self, time: timedelta, times: int) -> None:
        for _ in range(times):
            self.world.later(time)
            self.settle()

    @rule(time=st.sampled_from(LONG))
    def the_operator_is_away(self, time: timedelta) -> None:
        self.world.later(time)

    @rule()
    def both_clocks_jump_forward(self) -> None:
        self.world.now += HOUR
        self.world.processes.forget_ended(self.world.now)

    @rule(time=st.sampled_from(SHORT))
    def both_clocks_are_behind_for_a_while(self, time: timedelta) -> None:
        self.world.clocks_behind(behind=True)
        self.settle()
        self.world.later(time)
        self.settle()
        self.world.clocks_behind(behind=False)

    @rule(which=WHICH)
    def one_key_is_reconciled(self, which: int) -> None:
        self.work(self.key(which), None)

    @rule(which=WHICH, after=st.integers(0, 3))
    def the_operator_dies_after_an_action(self, which: int, after: int) -> None:
        self.work(self.key(which), after)

    @rule(which=WHICH, after=st.integers(0, 3), done=st.booleans())
    def the_api_server_does_not_answer(self, which: int, after: int, done: bool) -> None:
        """429, 5xx, a time-out: the write happened or it did not, and the operator does not know."""
        try:
            self.world.failed(self.key(which), after, done_all_the_same=done)
        except Refused:
            return

    @rule()
    def the_operator_is_restarted(self) -> None:
        self.world.restart()

    @rule(one=WHICH, other=WHICH, time=st.sampled_from(SHORT[:2]))
    def two_operators_are_at_work(self, one: int, other: int, time: timedelta) -> None:
        """One carries out what it planned before the other one acted."""
        planned = self.world.todo(self.key(one))
        self.work(self.key(other), None)
        self.world.later(time)
        try:
            for action in planned.actions:
                self.world.step(action)
        except Refused:
            return

    # ---- people

    @rule(name=st.sampled_from(CAS), reason=REASONS)
    def somebody_asks_for_a_new_root(self, name: str, reason: str) -> None:
        rotate(self.world, reason, name)

    @rule(name=st.sampled_from(CAS), reason=st.sampled_from(("leak", "theft")), hasty=st.sampled_from((None, "true")))
    def a_root_is_compromised(self, name: str, reason: str, hasty: str | None) -> None:
        rotate(self.world, name=name, compromised=reason, **{"compromised-now": hasty})

    @rule(paused=st.booleans())
    def a_rotation_is_paused_or_not(self, paused: bool) -> None:
        self.world.put(ca("internal", rotation={**self.turn, "paused": paused}))
        self.world.happened()

    @rule(enabled=st.booleans())
    def the_policy_changes(self, enabled: bool) -> None:
        self.world.put(ca("internal", rotation=self.turn, nameConstraints={"enabled": enabled}))
        self.world.happened()

    @rule(space=st.sampled_from(SPACES), trust=st.sampled_from((None, "internal", "internal,partners")))
    def a_namespace_asks_for_something_else(self, space: str, trust: str | None) -> None:
        self.world.put(a_namespace(space))
        self.world.annotate(ObjectKey("Namespace", "", space), trust=trust)
        self.world.happened()

    @rule(name=st.sampled_from(NAMES), space=st.sampled_from(SPACES), issuer=st.sampled_from(CAS))
    def a_certificate_is_wanted(self, name: str, space: str, issuer: str) -> None:
        if self.world.api.find(ObjectKey("Certificate", space, name)) is None:
            self.world.put(certificate(name, space, issuer))
            self.world.happened()

    @rule(
        name=st.sampled_from(NAMES), space=st.sampled_from(SPACES), issuer=st.sampled_from(CAS), granted=st.booleans()
    )
    def a_certificate_names_another_ca(self, name: str, space: str, issuer: str, granted: bool) -> None:
        """Refused, it goes on to serve what its old CA issued, and that one's rotations go on to count with it."""
        key = ObjectKey("Certificate", space, name)
        if self.world.api.find(key) is not None:
            self.world.put(certificate(name, space, issuer))
            if not granted:
                self.world.api.edit(key, lambda obj: obj["spec"].update(dnsNames=["acme.example"]))
            self.world.happened()

    @rule(name=st.sampled_from(NAMES), space=st.sampled_from(SPACES))
    def a_certificate_is_deleted(self, name: str, space: str) -> None:
        self.world.delete("Certificate", name, space)
        self.world.happened()

    @rule(space=st.sampled_from(SPACES))
    def a_pod_starts(self, space: str) -> None:
        self.pods += 1
        self.world.start_pod(f"pod-{self.pods}", space)

    @rule()
    @precondition(lambda self: self.world.processes.pods)
    def a_pod_ends(self) -> None:
        self.world.end_pod(min(self.world.processes.pods))

    # ---- accidents

    @rule(space=st.sampled_from(SPACES), how=st.sampled_from(("delete", "empty", "garbage")))
    def a_trust_store_is_vandalised(self, space: str, how: str) -> None:
        key = ObjectKey("ConfigMap", space, naming.TRUST_STORE)
        if self.world.api.find(key) is None:
            return
        if how == "delete":
            self.world.api.delete(key)
        else:
            content = {} if how == "empty" else {naming.PRIVATE_BUNDLE: "garbage"}
            self.world.api.edit(key, lambda obj: obj.update(data=content))
        self.world.happened(honest=False)

    @rule(which=WHICH, how=st.sampled_from(("delete", "garbage")))
    def a_leaf_secret_is_vandalised(self, which: int, how: str) -> None:
        names = sorted(self.world.live("internal")) or sorted(self.world.live("partners"))
        if not names:
            return
        space, name = names[which % len(names)]
        if how == "delete":
            self.world.delete("Secret", name, space)
        else:
            self.world.corrupt(name, naming.CA_CERT, space)
        self.world.happened(honest=False)

    @rule(which=WHICH, time=st.sampled_from(SHORT))
    def an_authority_secret_is_deleted_and_brought_back(self, which: int, time: timedelta) -> None:
        """In between its CA stands still (P4): nothing that is there gets lost.

        Not what the status does not tell of, as when both are lost: nothing is left then that knows of it.
        """
        secrets = [key for key, _ in self.world.secrets(OPERATOR_NAMESPACE)]
        keys = [key for key in secrets if key.name not in self.world.untold()]
        if not keys:
            return
        key = keys[which % len(keys)]
        lost = self.world.api.get(key)
        self.world.api.delete(key)
        # An intermediate that is gone is made anew under its root: the number may come again, a generation never.
        for each in [each for each in self.world.made if "-intermediate-" in each and "-intermediate-" in key.name]:
            del self.world.made[each]
        self.settle()
        self.world.later(time)
        self.settle()
        if self.world.api.find(key) is None:
            self.world.api.create(lost, self.world.now)
        self.world.happened()

    @rule()
    def a_backup_is_taken(self) -> None:
        self.backup = copy.deepcopy(self.world.api.objects)

    @rule()
    def what_is_missing_is_restored_from_backup(self) -> None:
        """As Velero does it: what exists is left alone; Secrets of the CAs and their records, in whatever old phase."""
        mine = [obj for key, obj in self.backup.items() if key.namespace == OPERATOR_NAMESPACE]
        for obj in mine:
            if self.world.api.find(key_of(obj)) is None:
                self.world.api.create(copy.deepcopy(obj), self.world.now)
        self.world.happened()

    @rule(name=st.sampled_from(CAS))
    def an_old_status_is_restored(self, name: str) -> None:
        key = ObjectKey("PrivateCA", "", name)
        self.world.api.edit(key, lambda obj: obj.update(status=self.backup[key].get("status", {})))

    # ---- judging

    @invariant()
    def every_client_verifies_every_server(self) -> None:
        if hasattr(self, "world"):
            self.world.judge()

    def teardown(self) -> None:
        """Left alone, every rotation ends, and a settled world is not written to, by a fresh process either."""
        if not hasattr(self, "world"):
            return
        self.world.put(ca("internal", rotation={**self.turn, "paused": False}))
        for pod in sorted(self.world.processes.pods):
            self.world.end_pod(pod)
        for obj in tuple(self.world.api.list("Pod")):
            self.world.api.delete(key_of(obj))
        go_on(self.world, one_root)
        judge_settled(self.world)
        self.world.restart()
        self.world.settle()
        judge_settled(self.world)

    # ---- helpers

    def key(self, which: int) -> ObjectKey:
        keys = self.world.keys()
        return keys[which % len(keys)]

    def work(self, key: ObjectKey, after: int | None) -> None:
        try:
            if after is None:
                self.world.reconcile(key)
            else:
                self.world.crashed(key, after)
        except Refused:
            self.world.restart()

    def settle(self) -> None:
        self.world.settle()


Rotations.TestCase.settings = PROFILE
TestRotations = Rotations.TestCase
