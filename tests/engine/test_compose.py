"""From a claimed delivery to its message: words, locales, digests, headers."""

from __future__ import annotations

from engine_bench import HOUR, START, Bench

from tactful.core.model import Recipient, Rejected, State
from tactful.engine.compose import Composer
from tactful.engine.links.links import links_of
from tactful.templates.library import Template

SECRET = "ab" * 32


def test_literal_words_go_out_as_they_are(bench: Bench) -> None:
    bench.person("ada", name="Ada L.")
    receipt = bench.send(subject="{{ no }} template", text="{% raw", html="<b>&amp;</b>")
    bench.run()

    (message,) = bench.messages
    assert (message.subject, message.text) == ("{{ no }} template", "{% raw")
    assert message.html == "<b>&amp;</b>"
    assert (message.id, message.notification_id) == (receipt.delivery_id, receipt.notification_id)
    assert (message.recipient, message.address, message.name) == ("ada", "ada", "Ada L.")
    assert (message.at, message.attempt, message.maybe_duplicate) == (START, 1, False)
    assert message.headers == ()


def test_a_template_is_chosen_by_locale_and_channel(bench: Bench) -> None:
    bench.templates.put(
        Template("t", text="default"),
        Template("t", locale="de", text="deutsch"),
        Template("t", locale="de", channel="sms", text="kurz"),
    )
    bench.people.put_many(
        [
            Recipient("ada", locale="de-AT", addresses={"sms": "1"}),
            Recipient("bob", locale="fr"),
        ]
    )
    for who in ("ada", "bob"):
        bench.send(to=who, template="t", text="", channels=["post", "sms"])
    bench.run()

    assert {m.recipient: m.text for m in bench.messages} == {"ada": "deutsch", "bob": "default"}
    assert [m.text for m in bench.sms.messages] == ["kurz"]


def test_a_template_without_any_fitting_locale_rejects_its_own_message_only(bench: Bench) -> None:
    bench.templates.put(Template("t", locale="de", text="deutsch"))
    bad = bench.send(to="ada", template="t", text="")
    bench.send(to="bob", text="fine")
    bench.run()

    assert bench.delivery(bad).state is State.FAILED
    assert "none fits the locale 'en'" in (bench.delivery(bad).reason or "")
    assert bench.texts == ["fine"]


def test_a_template_that_was_removed_meanwhile_fails_with_the_reason(bench: Bench) -> None:
    bench.templates.put(Template("t", text="x"))
    receipt = bench.send(template="t", text="")
    bench.templates.remove("t")
    bench.run()

    assert bench.delivery(receipt).state is State.FAILED
    assert "template 't'" in (bench.delivery(receipt).reason or "")


def test_a_subject_of_its_own_goes_before_that_of_the_template(bench: Bench) -> None:
    bench.templates.put(Template("t", subject="usual", text="x"))
    bench.send(template="t", text="")
    bench.send(template="t", text="", subject="special")
    bench.run()

    assert [message.subject for message in bench.messages] == ["usual", "special"]


def digest(bench: Bench, **person: str) -> None:
    bench.person("ada", **person)
    bench.rule("one", "1/hour", on_limit="digest", types=["news"])
    bench.send(text="first")
    bench.run()
    bench.clock.advance(1)
    bench.send(subject="A", text="text of a")
    bench.send(subject="B", text="text of b")
    bench.at(HOUR)


def test_a_digest_holds_the_parts_of_all_its_members_in_order(bench: Bench) -> None:
    digest(bench)

    message = bench.messages[1]
    assert message.subject == "2 updates for you"
    assert message.text.index("text of a") < message.text.index("text of b")
    assert "A (2026-01-01 00:00:00.001+00:00)" in message.text
    assert message.html is not None


def test_a_digest_speaks_of_instants_in_the_zone_of_its_reader(bench: Bench) -> None:
    digest(bench, timezone="Asia/Tokyo")

    assert "2026-01-01 09:00:00.001+09:00" in bench.messages[1].text


def test_a_digest_follows_a_template_of_that_name_in_the_readers_locale(bench: Bench) -> None:
    bench.templates.put(
        Template("digest", text="{{ count }} things"),
        Template("digest", locale="de", text="{{ count }} Dinge: {{ items[0].type }}"),
    )
    digest(bench, locale="de-DE")

    assert bench.texts[1] == "2 Dinge: news"


def test_a_member_that_cannot_be_rendered_takes_no_other_of_its_digest_down(bench: Bench) -> None:
    """Only the one that is broken fails; the others go out."""
    bench.templates.put(Template("t", text="{{ missing }}"))
    bench.rule("one", "1/hour", on_limit="digest")
    bench.send(text="first")
    bench.run()
    good = bench.send(text="good one")
    bad = bench.send(template="t", text="")
    other = bench.send(text="good two")
    for hours in range(1, 6):
        bench.at(hours * HOUR)

    assert bench.delivery(bad).state is State.FAILED
    assert "good one" in "".join(bench.texts)
    assert "good two" in "".join(bench.texts)
    assert State.FAILED not in (bench.delivery(good).state, bench.delivery(other).state)


def test_the_headers_of_unsubscribing_are_on_what_is_not_mandatory(bench: Bench) -> None:
    bench.type("recall", category="safety", mandatory=True)
    bench.send("news")
    bench.send("recall")
    composer = Composer(links_of(bench.context, lambda: SECRET, "https://x.test/u/{token}"))

    news, recall = (composer.message(job, bench.book) for job in bench.claim())

    assert not isinstance(news, Rejected)
    assert not isinstance(recall, Rejected)
    assert [name for name, _ in news.headers] == ["List-Unsubscribe", "List-Unsubscribe-Post"]
    assert recall.headers == ()
