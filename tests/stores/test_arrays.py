"""Lists as PostgreSQL reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tactful.stores.postgres.arrays import array

TEXTS = st.text(alphabet='ab ,"\\{}\0\u20ac\n', max_size=6)


def elements(literal: str) -> list[str | None]:
    """What an array's text means, read one character after the other."""
    assert (literal[0], literal[-1]) == ("{", "}")
    found: list[str | None] = []
    rest = iter(literal[1:-1])
    text, quoted, bare = "", False, True
    for character in rest:
        if character == '"':
            quoted, bare = not quoted, False
        elif character == "," and not quoted:
            found.append(None if bare and text == "NULL" else text)
            text, bare = "", True
        else:
            text += next(rest) if character == "\\" else character
    return [*found, None if bare and text == "NULL" else text] if literal != "{}" else []


@given(st.lists(st.one_of(TEXTS, st.just("NULL"), st.none())))
def test_what_is_put_in_is_what_is_read(values: list[str | None]) -> None:
    expected = [None if one is None else one.replace("\0", "\ufffd") for one in values]

    assert elements(array(values)) == expected


@given(st.lists(TEXTS))
def test_texts_alone_are_read_just_so(values: list[str]) -> None:
    assert elements(array(values)) == [one.replace("\0", "\ufffd") for one in values]


def test_numbers_and_flags_stand_as_they_are() -> None:
    assert array([1, True, None, -5]) == "{1,1,NULL,-5}"
