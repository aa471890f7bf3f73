"""What a person wants is what they last said, however often they say it."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
from engine_bench import Bench
from hypothesis import given
from hypothesis import strategies as st

from tactful.app import Tactful
from tactful.core.errors import ConfigError, RequestError
from tactful.engine.links.links import Links, links_of
from tactful.engine.links.preferences import Preferences
from tactful.stores.memory import MemoryStore
from tactful.templates.library import Template


def links(bench: Bench, **urls: str) -> Links:
    return links_of(bench.context, lambda: "0f" * 32, **{"tracking": "https://x.test", **urls})


def preferences(bench: Bench) -> Preferences:
    bench.type("deal", category="offers", channels=("mail", "sms"))
    bench.type("news", category="editorial")
    bench.type("otp", category="security", mandatory=True)
    return links(bench).preferences


def mute(bench: Bench, key: str = "ada") -> tuple[str, ...]:
    found = bench.people.get(key)
    return found.mute if found is not None else ()


def test_what_is_offered_is_what_may_be_sent_and_refused(bench: Bench) -> None:
    ours = preferences(bench)
    found = ours.choices("ada")

    assert found.categories == {"editorial": True, "offers": True}
    assert found.channels == {"mail": True, "post": True, "sms": True}
    assert (found.stopped, found.always) == (False, True)


def test_without_types_there_is_one_category_and_the_usual_channel(bench: Bench) -> None:
    found = links(bench).preferences.choices("ada")

    assert (found.categories, found.channels) == ({"default": True}, {"post": True})


def test_exactly_what_was_ticked_is_wanted(bench: Bench) -> None:
    bench.person("ada", name="Ada", email="ada@example.com", mute=("type:old",))
    ours = preferences(bench)
    shown = ["category:offers", "category:editorial", "channel:sms", "channel:mail"]

    for _ in range(2):
        ours.choose("ada", shown=shown, wanted=["category:editorial", "channel:mail"])
        assert mute(bench) == ("category:offers", "channel:sms", "type:old")
    assert bench.send("deal", to="ada@example.com", channels="mail").decision == "suppress"
    assert bench.send("news", to="ada@example.com", channels="mail").decision == "send"
    assert ours.choices("ada").categories == {"editorial": True, "offers": False}

    ours.choose("ada", shown=shown, wanted=shown)
    assert mute(bench) == ("type:old",)
    found = bench.people.get("ada")
    assert found is not None
    assert (found.name, found.email) == ("Ada", "ada@example.com")


def test_what_the_page_did_not_show_stays_as_it_was(bench: Bench) -> None:
    """Between showing it and sending it, a category may have come, or been muted elsewhere."""
    bench.person("ada", mute=("category:editorial",))
    ours = preferences(bench)
    ours.choose("ada", shown=["category:offers"], wanted=[])

    assert mute(bench) == ("category:editorial", "category:offers")


def test_what_was_never_offered_cannot_be_stored(bench: Bench) -> None:
    ours = preferences(bench)
    strange = ["category:x", "type:deal", "all", "", "category:", "x" * 5000, "category:security"]
    ours.choose("ada", shown=strange, wanted=[])

    assert mute(bench) == ()


def test_everything_can_be_stopped_and_allowed_again(bench: Bench) -> None:
    ours = preferences(bench)
    ours.choose("ada", shown=["category:offers"], wanted=[])
    for _ in range(2):
        ours.stop("ada")
        assert mute(bench) == ("all", "category:offers")
    assert bench.send("news").reason == "muted: all"
    found = ours.choices("ada")
    assert (found.stopped, set(found.categories.values())) == (True, {False})

    for _ in range(2):
        ours.resume("ada")
        assert mute(bench) == ()
    assert bench.send("news").decision == "send"


def test_who_has_stopped_everything_can_pick_again(bench: Bench) -> None:
    ours = preferences(bench)
    ours.stop("ada")
    shown = ["category:offers", "category:editorial"]
    ours.choose("ada", shown=shown, wanted=["category:editorial"])

    assert mute(bench) == ("category:offers",)


def test_what_the_person_must_get_is_sent_all_the_same(bench: Bench) -> None:
    ours = preferences(bench)
    ours.stop("ada")

    assert bench.send("otp").decision == "send"


scopes = st.sampled_from(["category:offers", "category:editorial", "channel:mail", "channel:sms"])
steps = st.lists(
    st.tuples(st.sampled_from(["save", "stop", "resume"]), st.sets(scopes), st.sets(scopes)),
    max_size=6,
)


@given(steps)
def test_the_last_word_holds(said: list[tuple[str, set[str], set[str]]]) -> None:
    bench = Bench(MemoryStore())
    ours = preferences(bench)
    expected: set[str] = set()
    for do, shown, wanted in said:
        if do == "save":
            ours.choose("ada", shown=shown, wanted=wanted)
            expected = (expected - shown - {"all"}) | (shown - wanted)
        elif do == "stop":
            ours.stop("ada")
            expected = expected | {"all"}
        else:
            ours.resume("ada")
            expected = set()
        assert set(mute(bench)) == expected


def test_changes_of_one_person_at_the_same_time_are_all_kept(bench: Bench) -> None:
    """Clicks on the links of several mails may come together; none may undo another."""
    ours = links(bench).unsubscribe
    names = [f"c{number}" for number in range(8)]
    tokens = [ours.token("ada", name) for name in names]
    threads = [threading.Thread(target=ours.redeem, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert mute(bench) == tuple(f"category:{name}" for name in names)


# Links -----------------------------------------------------------------------------------------


def test_the_link_is_for_one_person_and_no_other(bench: Bench) -> None:
    ours = links(bench)
    url = ours.preferences.url("ada")
    token = urlsplit(url).path.removeprefix("/t/p/")

    assert url.startswith("https://x.test/t/p/")
    assert ours.preferences.read(token) == "ada"
    with pytest.raises(RequestError, match="not one of ours"):
        ours.unsubscribe.read(token)
    with pytest.raises(RequestError, match="not one of ours"):
        ours.preferences.read(ours.unsubscribe.token("ada", "offers"))


def test_where_the_pages_are_follows_from_either_setting(bench: Bench) -> None:
    secret = "0f" * 32
    by_unsubscribe = links_of(bench.context, lambda: secret, "https://x.test/t/u/{token}")
    elsewhere = links_of(bench.context, lambda: secret, "https://x.test/bye/{token}")
    plain = links_of(bench.context, lambda: secret, None, "http://127.0.0.1:8700")

    assert by_unsubscribe.preferences.base == "https://x.test"
    assert by_unsubscribe.tracking is None
    assert elsewhere.preferences.base is None
    with pytest.raises(ConfigError):
        elsewhere.preferences.url("ada")
    assert links(bench).unsubscribe.pattern == "https://x.test/t/u/{token}"
    assert plain.unsubscribe.pattern is None  # RFC 8058 asks for https
    assert plain.preferences.url("ada").startswith("http://127.0.0.1:8700/t/p/")


def test_templates_can_show_both_links() -> None:
    """In the message, and when it is looked at again."""
    app = Tactful("memory://", tracking="https://x.test")
    text = "{{ unsubscribe_url }}\n{{ preferences_url }}"
    app.templates.put(Template("bye", subject="s", text=text))
    app.send(type="news", to="ada", template="bye")
    app.tick()

    urls = [app.links.unsubscribe.url("ada", "default"), app.links.preferences.url("ada")]
    assert app.inbox("ada")[0].text.split() == urls
    app.close()
