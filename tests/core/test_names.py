"""One spelling for every name: no misspelling is a way round a limit."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tactful.core.errors import RequestError
from tactful.core.model import Recipient
from tactful.core.names import (
    NAME_LENGTH_MAX,
    RECIPIENT_LENGTH_MAX,
    has_control,
    name_key,
    recipient_key,
)


@pytest.mark.parametrize(
    "spelling",
    [
        "news",
        "News",
        "NEWS",
        "news ",
        " news",
        "\tnews\n",
        "\u00a0news\u3000",  # no-break and ideographic space
        "\uff4e\uff45\uff57\uff53",  # full width letters
        "new\u017f",  # long s folds to s
        "\U0001d40d\U0001d41e\U0001d430\U0001d42c",  # mathematical bold letters
    ],
)
def test_every_spelling_of_a_type_is_one_type(spelling: str) -> None:
    assert name_key(spelling, "type") == "news"


@pytest.mark.parametrize(
    "spelling", ["a@x.com", "A@x.com", "a@X.COM", " a@x.com", "a@x.com ", "\uff41@x.com"]
)
def test_every_spelling_of_a_mailbox_is_one_recipient(spelling: str) -> None:
    assert recipient_key(spelling) == "a@x.com"


def test_another_word_stays_another_word() -> None:
    assert name_key("newz", "type") == "newz"


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("order shipped", "order_shipped"),
        ("Order  \t Shipped", "order_shipped"),
        ("a.b:c/d-e_f", "a.b:c/d-e_f"),
        ("-lead", "-lead"),
        ("Straße", "strasse"),
        ("Ω", "ω"),
        ("\u212a", "k"),  # the Kelvin sign
        ("é", "é"),
        ("e\u0301", "é"),
        ("9lives", "9lives"),
    ],
)
def test_names_are_folded_and_joined(spelling: str, key: str) -> None:
    assert name_key(spelling, "type") == key


def test_a_blank_within_a_recipient_stays() -> None:
    assert recipient_key(" Ann Lee ") == "ann lee"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "\u3000\t",
        7,
        True,
        1.5,
        b"news",
        ["news"],
        "a\x00b",
        "a\x7fb",
        "a\u0085b\x1b",
        "a\ud800b",
        "x" * (NAME_LENGTH_MAX + 1),
        "X" * (NAME_LENGTH_MAX + 1),
        " " * 1000 + "x",
        "ﷺ" * 10,  # one sign that becomes 18 letters
    ],
)
def test_what_is_no_name_is_refused_with_field_value_and_bound(value: object) -> None:
    with pytest.raises(RequestError) as caught:
        name_key(value, "category")
    assert caught.value.field == "category"
    assert caught.value.value is value
    assert str(NAME_LENGTH_MAX) in caught.value.bound
    assert str(caught.value).startswith("category: must be a text of 1 to 100 characters (got ")


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        0,
        False,
        b"a@x.com",
        "a\nb@x.com",
        "a\r\nBcc: all@x.com",
        "a\u2028b",
        "a\u2029b",
        "\udfff",
        "x" * (RECIPIENT_LENGTH_MAX + 1),
        "ﷺ" * 30,
    ],
)
def test_what_is_no_recipient_is_refused_with_field_value_and_bound(value: object) -> None:
    with pytest.raises(RequestError) as caught:
        recipient_key(value)
    assert (caught.value.field, caught.value.value) == ("to", value)
    assert str(RECIPIENT_LENGTH_MAX) in caught.value.bound


def test_the_longest_names_are_taken() -> None:
    assert name_key("x" * NAME_LENGTH_MAX, "type") == "x" * NAME_LENGTH_MAX
    assert name_key("X" * NAME_LENGTH_MAX, "type") == "x" * NAME_LENGTH_MAX
    assert recipient_key("X" * RECIPIENT_LENGTH_MAX) == "x" * RECIPIENT_LENGTH_MAX


def test_the_field_of_a_recipient_can_be_named() -> None:
    with pytest.raises(RequestError) as caught:
        recipient_key("", "recipients[3]")
    assert caught.value.field == "recipients[3]"


@settings(print_blob=True, deadline=None)
@given(st.text(max_size=120))
@example("ᾳ\u0301")
@example("\u0149 \u017f")
@example("İ")
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    for key_of in (lambda value: name_key(value, "type"), recipient_key):
        try:
            key = key_of(text)
        except RequestError:
            continue
        assert key_of(key) == key
        assert key == unicodedata.normalize("NFKC", key).strip()
        assert not has_control(key)


@settings(print_blob=True, deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=50))
def test_case_and_outer_blanks_never_tell_names_apart(text: str) -> None:
    key = name_key(text, "type")
    assert name_key(text.upper(), "type") == name_key(f" {text.lower()}\t", "type") == key
    assert recipient_key(text.upper()) == recipient_key(f" {text.lower()}\t")


@pytest.mark.parametrize("text", ["a\tb", "\x00", "\x80", "\ud800", "\u2028", "\u2029"])
def test_control_characters_are_seen(text: str) -> None:
    assert has_control(text)


@pytest.mark.parametrize("text", ["", "abc", "é ß", "日本", "👍🏽", "a b"])
def test_ordinary_text_holds_no_control_character(text: str) -> None:
    assert not has_control(text)


def test_a_recipient_is_shown_by_name_or_else_by_id() -> None:
    assert str(Recipient("u1", name="Ann Lee")) == "Ann Lee"
    assert str(Recipient("u1")) == "u1"
