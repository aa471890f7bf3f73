"""The API against a model: what it answers is what a short and slow limiter would.

People, one rule and a clock: notifications are submitted, the rule is changed and taken away, what
waits is called off, time passes, and the worker runs. Hand-overs are judged by the channel: no
window may ever hold more than the rule in force allowed, nothing accepted may be lost, and every
answer has to agree with what the model knows.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_bench import HOUR, Api, said
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

PEOPLE = st.sampled_from(["ada", "bob"])
WAITS = ("queued", "deferred")


class Service(RuleBasedStateMachine):
    """One API, and what is known of it."""

    @initialize()
    def begin(self) -> None:
        self.api = Api().__enter__()
        self.count: int | None = None
        self.accepted: dict[str, str] = {}  # delivery -> person
        self.gone: dict[str, int] = {}  # delivery -> instant
        self.called_off: set[str] = set()
        self.keys: dict[str, tuple[str, Any]] = {}
        self.changed_at = 0

    def teardown(self) -> None:
        if hasattr(self, "api"):
            self.api.__exit__(None, None, None)

    # What people do ---------------------------------------------------------------------------

    @rule(who=PEOPLE)
    def submit(self, who: str) -> None:
        free = self.count is None or self.held(who) < self.count
        answer = self.api.client.post("/v1/notifications", json=said(who), headers=self.api.sender)
        body = answer.json()
        assert answer.status_code == 202, body
        assert body["decision"] == ("send" if free else "defer"), (body, self.gone)
        assert (body["rule"] is None) == (self.count is None)
        self.accepted[body["delivery_id"]] = who

    @rule(who=PEOPLE, key=st.sampled_from(["k", "l"]), text=st.sampled_from(["one", "two"]))
    def submit_with_a_key(self, who: str, key: str, text: str) -> None:
        headers = {**self.api.sender, "Idempotency-Key": key}
        answer = self.api.client.post(
            "/v1/notifications", json=said(who, text=text), headers=headers
        )
        meant = f"{who} {text}"
        if key not in self.keys:
            assert answer.status_code == 202
            self.keys[key] = meant, answer.json()
            self.accepted[answer.json()["delivery_id"]] = who
        elif self.keys[key][0] == meant:
            assert answer.json() == {**self.keys[key][1], "replayed": True}
        else:
            assert answer.json()["code"] == "idempotency_conflict"

    @rule(count=st.integers(1, 3))
    def put_rule(self, count: int) -> None:
        fields = {"limit": f"{count}/hour"}
        answer = self.api.client.put("/v1/rules/calm", json=fields, headers=self.api.admin)
        assert answer.status_code == 200
        self.count = count
        self.work()

    @precondition(lambda self: self.count is not None)
    @rule()
    def remove_rule(self) -> None:
        answer = self.api.client.delete("/v1/rules/calm", headers=self.api.admin)
        assert answer.status_code == 200
        self.count = None
        self.work()
        assert not self.waiting()

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.accepted)))
        waits = one in self.waiting()
        answer = self.api.client.post(f"/v1/deliveries/{one}/cancel", headers=self.api.sender)
        assert answer.json() == {"cancelled": int(waits)}
        if waits:
            self.called_off.add(one)

    @rule(minutes=st.integers(1, 90))
    def pass_time(self, minutes: int) -> None:
        self.work()
        self.api.clock.advance(minutes * 60_000)
        self.work()

    @rule()
    def work(self) -> None:
        self.api.app.tick()
        for message in self.api.post.messages[len(self.gone) :]:
            assert message.id in self.accepted
            assert message.id not in self.gone
            assert message.id not in self.called_off
            self.gone[message.id] = self.api.clock.now()
            if self.count is not None:
                assert self.went(message.recipient) <= self.count

    # What the model knows -----------------------------------------------------------------------

    def went(self, who: str) -> int:
        """How many went to somebody in the hour that ends now."""
        since = self.api.clock.now() - HOUR
        return sum(1 for one, at in self.gone.items() if self.accepted[one] == who and at > since)

    def held(self, who: str) -> int:
        """How many slots of the hour are taken: what went, and what waits for its turn."""
        return self.went(who) + sum(1 for one in self.waiting() if self.accepted[one] == who)

    def waiting(self) -> set[str]:
        return set(self.accepted) - set(self.gone) - self.called_off

    @invariant()
    def every_answer_agrees(self) -> None:
        if not hasattr(self, "api"):
            return
        page = self.api.client.get("/v1/deliveries?limit=1000", headers=self.api.sender).json()
        states = {row["id"]: row["state"] for row in page["items"]}
        assert states.keys() == self.accepted.keys()
        for one, state in states.items():
            if one in self.gone:
                assert state == "delivered"
            elif one in self.called_off:
                assert state == "cancelled"
            else:
                assert state in WAITS
        counted = self.api.client.get("/v1/status", headers=self.api.sender).json()["states"]
        assert sum(counted.values()) == len(self.accepted)


Service.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failing run is short as it is
    suppress_health_check=list(HealthCheck),
)
TestService = Service.TestCase


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_api_agrees_with_the_model_for_six_thousand_steps() -> None:
    longer = settings(Service.TestCase.settings, max_examples=200, stateful_step_count=30)
    run_state_machine_as_test(Service, settings=longer)
