"""Submitting over HTTP: what was decided, repeated safely, refused with an instant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from api_bench import DAY, HOUR, START, Api, said

SINGLE = "/v1/notifications"
BULK = "/v1/notifications/bulk"


def test_a_submission_is_answered_with_what_was_decided(every: Api) -> None:
    every.rule("daily", "1/day")

    first = every.client.post(SINGLE, json=said(), headers=every.sender)
    second = every.client.post(SINGLE, json=said(), headers=every.sender)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["decision"] == "send"
    assert second.json()["decision"] == "defer"
    assert second.json()["rule"] == "daily"
    assert second.json()["deliver_at"] == START + DAY
    every.app.tick()
    assert [message.text for message in every.post.messages] == ["w"]


def test_what_was_submitted_can_be_looked_at_from_all_sides(every: Api) -> None:
    every.rule("daily", "1/day")
    one = every.client.post(SINGLE, json=said(), headers=every.sender).json()
    two = every.client.post(SINGLE, json=said(), headers=every.sender).json()
    every.app.tick()

    def get(path: str) -> dict[str, object]:
        answer = every.client.get(path, headers=every.sender)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    why = get(f"/v1/deliveries/{two['delivery_id']}/why")
    assert (why["rule"], why["place"], why["deliver_at"]) == ("daily", 1, START + DAY)
    assert get(f"/v1/deliveries/{one['delivery_id']}")["state"] == "delivered"
    assert get(f"/v1/notifications/{one['notification_id']}")["received"] == 1
    listed = get("/v1/deliveries?recipient=ADA@example.com&state=deferred")
    assert [row["id"] for row in listed["items"]] == [two["delivery_id"]]  # type: ignore[attr-defined]
    events = get(f"/v1/events?delivery_id={one['delivery_id']}")
    names = [event["name"] for event in events["items"]]  # type: ignore[attr-defined]
    assert names[-1] == "delivered"


def test_a_list_is_read_page_by_page(api: Api) -> None:
    for number in range(5):
        api.client.post(SINGLE, json=said(text=str(number)), headers=api.sender)

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        url = f"/v1/deliveries?limit=2&cursor={cursor}"
        page = api.client.get(url, headers=api.sender).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]

    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


def test_a_delivery_that_waits_can_be_called_off_once(every: Api) -> None:
    every.rule("daily", "1/day")
    every.client.post(SINGLE, json=said(), headers=every.sender)
    waits = every.client.post(SINGLE, json=said(), headers=every.sender).json()
    url = f"/v1/deliveries/{waits['delivery_id']}/cancel"

    first = every.client.post(url, headers=every.sender)
    again = every.client.post(url, headers=every.sender)

    assert first.json() == {"cancelled": 1}
    assert again.json() == {"cancelled": 0}


def test_a_notification_is_paused_and_resumed(every: Api) -> None:
    waits = every.client.post(
        SINGLE, json=said(deliver_at=START + HOUR), headers=every.sender
    ).json()
    url = f"/v1/notifications/{waits['notification_id']}"

    def post(what: str) -> object:
        answer = every.client.post(f"{url}/{what}", headers=every.sender)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [post("pause"), post("pause")] == [{"paused": 1}, {"paused": 0}]
    why = f"/v1/deliveries/{waits['delivery_id']}/why"
    told = every.client.get(why, headers=every.sender).json()
    assert (told["decision"], told["paused_at"]) == ("pause", START)
    assert told["paused_by"].startswith("key:")
    (standing,) = every.client.get("/v1/status", headers=every.sender).json()["paused"]
    assert standing["notification_id"] == waits["notification_id"]
    every.clock.set(START + 2 * HOUR)
    every.app.tick()
    assert every.post.messages == []

    assert [post("resume"), post("resume")] == [{"resumed": 1}, {"resumed": 0}]
    every.app.tick()
    assert [message.text for message in every.post.messages] == ["w"]
    assert post("pause") == {"paused": 0}


def test_who_may_not_send_may_not_pause(api: Api) -> None:
    reader = api.key("looker", "read")
    for what in ("pause", "resume"):
        url = f"/v1/notifications/nothing/{what}"
        assert api.client.post(url, headers=reader).status_code == 403
        answer = api.client.post(url, headers=api.sender)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# Many at once ---------------------------------------------------------------------------------


def test_each_of_many_has_a_result_of_its_own(every: Api) -> None:
    every.rule("daily", "1/day")
    items = [
        said(),
        said(to=""),
        said(),
        "nonsense",
        said(to="bob@example.com", channels=["fax"]),
        said(to="bob@example.com"),
        {**said(), "colour": "red"},
    ]

    answer = every.client.post(BULK, json={"items": items}, headers=every.sender)

    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [one.get("decision") for one in results] == [
        "send",
        None,
        "defer",
        None,
        None,
        "send",
        None,
    ]
    assert [one["error"]["field"] for one in results if "error" in one] == [
        "to",
        "item",
        "channels",
        "colour",
    ]
    assert len(every.app.deliveries()) == 3


def test_many_without_a_good_one_store_nothing(api: Api) -> None:
    answer = api.client.post(BULK, json={"items": [{}, said(to="")]}, headers=api.sender)

    assert answer.status_code == 202
    assert all("error" in one for one in answer.json()["results"])
    assert api.app.deliveries() == []


def test_more_than_a_thousand_are_refused_whole(api: Api) -> None:
    answer = api.client.post(BULK, json={"items": [said()] * 1001}, headers=api.sender)

    assert answer.status_code == 422
    assert "1000" in answer.json()["detail"]
    assert api.app.deliveries() == []


def test_the_header_for_repeating_does_not_go_with_many(api: Api) -> None:
    """It would look as if it protected them, and would not."""
    headers = {**api.sender, "Idempotency-Key": "k"}

    answer = api.client.post(BULK, json={"items": [said()]}, headers=headers)

    assert answer.status_code == 422
    assert api.app.deliveries() == []


def test_items_are_protected_by_keys_of_their_own(every: Api) -> None:
    items = [said(idempotency_key="a"), said(idempotency_key="b")]

    first = every.client.post(BULK, json={"items": items}, headers=every.sender).json()
    again = every.client.post(
        BULK, json={"items": [*items, said("other", idempotency_key="a")]}, headers=every.sender
    ).json()

    assert [one["replayed"] for one in first["results"]] == [False, False]
    assert [one.get("replayed") for one in again["results"]] == [True, True, None]
    assert again["results"][2]["error"]["code"] == "idempotency_conflict"
    assert len(every.app.deliveries()) == 2


# Repeating ------------------------------------------------------------------------------------


def test_repeating_with_a_key_gives_the_first_answer_again(every: Api) -> None:
    headers = {**every.sender, "Idempotency-Key": "order-7"}

    first = every.client.post(SINGLE, json=said(), headers=headers)
    every.clock.advance(HOUR)
    again = every.client.post(SINGLE, json=said(), headers=headers)

    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == {**first.json(), "replayed": True}
    assert first.headers["Idempotency-Retention"] == str(7 * 86_400)
    assert len(every.app.deliveries()) == 1


def test_without_a_key_the_answer_says_that_nothing_protects(api: Api) -> None:
    answer = api.client.post(SINGLE, json=said(), headers=api.sender)

    assert answer.headers["Idempotency-Retention"] == "0"


def test_a_key_with_another_body_is_refused(every: Api) -> None:
    headers = {**every.sender, "Idempotency-Key": "order-7"}
    every.client.post(SINGLE, json=said(), headers=headers)

    answer = every.client.post(SINGLE, json=said(text="another"), headers=headers)

    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_conflict"
    assert len(every.app.deliveries()) == 1


def test_callers_who_come_at_once_with_one_key_make_one_notification(every: Api) -> None:
    headers = {**every.sender, "Idempotency-Key": "order-7"}

    def one(_: int) -> tuple[int, str]:
        answer = every.client.post(SINGLE, json=said(), headers=headers)
        return answer.status_code, answer.json()["notification_id"]

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(one, range(24)))

    assert len(found) == 1
    assert next(iter(found))[0] == 202
    assert len(every.app.deliveries()) == 1


def test_a_broadcast_is_repeated_as_safely(api: Api) -> None:
    headers = {**api.sender, "Idempotency-Key": "monday"}
    body = {"type": "news", "text": "all"}

    first = api.client.post("/v1/broadcasts", json=body, headers=headers)
    again = api.client.post("/v1/broadcasts", json=body, headers=headers)

    assert first.json()["decision"] == "queued"
    assert again.json()["notification_id"] == first.json()["notification_id"]
    assert again.headers["Idempotency-Replayed"] == "true"


# A rule says no -------------------------------------------------------------------------------


def test_a_rejection_says_when_it_would_be_let_through(every: Api) -> None:
    every.rule("hard", "1/hour", on_limit="reject")
    every.client.post(SINGLE, json=said(), headers=every.sender)
    every.app.tick()
    every.clock.advance(HOUR // 4)

    answer = every.client.post(SINGLE, json=said(), headers=every.sender)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == str(45 * 60)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["rule"], body["decision"]) == ("over_limit", "hard", "reject")
    assert body["retry_at"] == START + HOUR


def test_a_rejection_for_ever_names_no_instant(api: Api) -> None:
    api.rule("never", "0/hour", on_limit="reject")

    answer = api.client.post(SINGLE, json=said(), headers=api.sender)

    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers


def test_what_goes_out_on_one_of_two_channels_is_no_rejection(api: Api) -> None:
    """Whoever is told 429 sends again: then it would have gone out twice on the other one."""
    api.rule("hard", "0/hour", channels=["post"], on_limit="reject")

    answer = api.client.post(SINGLE, json=said(channels=["post", "inbox"]), headers=api.sender)

    assert answer.status_code == 202
    assert answer.json()["decision"] == "reject"
    assert [one["decision"] for one in answer.json()["others"]] == ["send"]
