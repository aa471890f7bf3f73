from __future__ import annotations

import smtplib
import unicodedata
from email.utils import parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tactful.channels.address import CONTROLS, Address, parse_domain, parse_email, parse_mailbox
from tactful.core.errors import RequestError

# What mail libraries silently turn into another address, or pass through to the wire.
S3_REWRITTEN = [
    "v@x>\r\nRCPT TO:<evil@y.test",
    "v@x.test>\r\nRCPT TO:<evil@y.test>",
    '"a\r\nb"@x',
    "v@x.test\r\nDATA",
    "v@x.test\n",
    "v@x.test\x00.y.test",
    "v@x.test, w@y.test",
    "v@x.test;w@y.test",
    "<v@x.test>",
    "V <v@x.test>",
    "v@x.test (V)",
    "(c)v@x.test",
    "v(c)@x.test",
    "v@(c)x.test",
    '"v"@x.test',
    '"v w"@x.test',
    '"v@w"@x.test',
    "v w@x.test",
    "v@x .test",
    "v @x.test",
    "v\u00a0w@x.test",
    "v@w@x.test",
    "@relay.test:v@x.test",
    "v@[127.0.0.1]",
    "v@[IPv6:::1]",
    "v\\@x.test",
    "v@x.test\u2028",
    "v@x.test\x85",
    "v\ud800@x.test",
    "v@\udfffx.test",
    "v\u200b@x.test",
    "v\u202ew@x.test",
    "v\ufe0f@x.test",
    "\u0338v@x.test",
    "v\uff20w@x.test",
    "v\u2025w@x.test",
    "=?utf-8?q?a=0D=0ABcc=3A_evil=40y.test?=@x.test",
    "v\uff1d\uff1f@x.test",
]

MALFORMED = [
    "",
    " ",
    "@",
    "v",
    "v@",
    "@x.test",
    ".v@x.test",
    "v.@x.test",
    "v..w@x.test",
    "v@.x.test",
    "v@x..test",
    "v@x.test.",
    "v@x.test\u3002",
    "v@-x.test",
    "v@x-.test",
    "v@x_y.test",
    "v@127.0.0.1",
    "v@127.1",
    "v@0x7f000001",
    "v@\uff11\uff12\uff17.0.0.1",
    "v@xn--a.test",
    "v@xn--zzzz.test",
    "v@xn--.test",
    "v@\u2603.test",
    "v@\u200dx.test",
    "v" * 65 + "@x.test",
    "\u00fc" * 33 + "@x.test",
    "v@" + "x" * 64 + ".test",
    "v@" + "\u00fc" * 80 + ".test",
    "v@" + "abcdefg." * 31 + "test.",
    "v@" + "abcdefg." * 32 + "test",
]

ACCEPTED = [
    ("v@x.test", "v", "x.test"),
    (" v@x.test\t", "v", "x.test"),
    ("V.w+tag@X.Test", "V.w+tag", "x.test"),
    ("!#$%&'*+-/=^_`{|}~?@x.test", "!#$%&'*+-/=^_`{|}~?", "x.test"),
    ("root@localhost", "root", "localhost"),
    ("v@r3---sn.x.test", "v", "r3---sn.x.test"),
    ("v@1and1.test", "v", "1and1.test"),
    ("v" * 64 + "@x.test", "v" * 64, "x.test"),
    ("v@" + "x" * 63 + ".test", "v", "x" * 63 + ".test"),
    ("v@b\u00fccher.test", "v", "xn--bcher-kva.test"),
    ("v@B\u00dcCHER\uff0etest", "v", "xn--bcher-kva.test"),
    ("v@fa\u00df.test", "v", "xn--fa-hia.test"),
    ("v@XN--BCHER-KVA.test", "v", "xn--bcher-kva.test"),
    ("j\u00fcrgen@x.test", "j\u00fcrgen", "x.test"),
    ("\u7528\u6237@\u4f8b\u5b50.test", "\u7528\u6237", "xn--fsqu00a.test"),
]

S3_ALIASES = [
    ["Ann@x.test", "ann@X.TEST", " ANN@x.test ", "ann@x\u3002test", "\uff41nn@x.test"],
    ["j\u00fcrgen@x.test", "ju\u0308rgen@x.test", "J\u00dcRGEN@X.test"],
    ["stra\u00dfe@x.test", "STRASSE@x.test", "stra\u017f\u017fe@x.test"],
    ["v@b\u00fccher.test", "v@bu\u0308cher.test", "v@xn--bcher-kva.test", "v@B\u00dccher.test"],
    ["k@x.test", "\u212a@x.test", "K@x\u00ad.test"],
]

hostile = st.lists(
    st.one_of(
        st.sampled_from('@."\\<>(),:;[] \t\r\n\0-_aB'),
        st.sampled_from(["\x85", "\u2028", "\ud800", "\u00a0", "\u200b", "\u202e", "\uff20"]),
        st.sampled_from(["\u00fc", "\u0308", "\u00df", "\u3002", "x.test", "127.0.0.1", "v" * 40]),
        st.sampled_from(["xn--", "=?utf-8?q?=0D=0A?=", ">\r\nRCPT TO:<evil@y.test", "\r\n", ".."]),
        st.characters(),
    ),
    max_size=12,
).map("".join)

labels = st.from_regex(r"[a-zA-Z0-9\u00e0-\u00f6\u0430-\u044f]{1,20}", fullmatch=True)
likely = st.builds(
    lambda local, domain: f"{'.'.join(local)}@{'.'.join(domain)}",
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3),
    st.lists(labels, min_size=1, max_size=3),
)


@pytest.mark.parametrize("text", S3_REWRITTEN)
def test_s3_what_a_library_would_rewrite_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_email(text, "email")
    assert caught.value.field == "email"


@pytest.mark.parametrize("text", MALFORMED)
def test_s3_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_email(text)
    assert caught.value.field == "to"
    assert caught.value.value == text


@pytest.mark.parametrize(("text", "local", "domain"), ACCEPTED)
def test_s3_accepted_as_written(text: str, local: str, domain: str) -> None:
    address = parse_email(text)
    assert (address.local, address.domain) == (local, domain)
    assert address.mailbox == f"{local}@{domain}"
    assert address.needs_smtputf8 == (not local.isascii())


@pytest.mark.parametrize("spellings", S3_ALIASES)
def test_s3_spellings_of_one_address_share_one_key(spellings: list[str]) -> None:
    assert len({parse_email(spelling).key for spelling in spellings}) == 1


def test_s3_neighbours_do_not_share_a_key() -> None:
    texts = [
        "ann@x.test",
        "ann@x.test2",
        "an.n@x.test",
        "ann+a@x.test",
        "ann@fass.de",
        "ann@faß.de",
    ]
    assert len({parse_email(text).key for text in texts}) == len(texts)


def test_whole_address_has_at_most_254_octets() -> None:
    domain = "abcdefg." * 23 + "test"
    fits = "v" * 64 + "@" + domain + "t"
    assert len(fits) == 254
    assert parse_email(fits).mailbox == fits
    assert parse_email(f" {fits} ").mailbox == fits
    with pytest.raises(RequestError, match="254"):
        parse_email(fits + "t")
    # Here it is the wire form that is too long, the text is not.
    with pytest.raises(RequestError, match="254"):
        parse_email("v" * 64 + "@" + "\u00fcbcdefg." * 13 + "test")


def test_single_label_domains_only_where_allowed() -> None:
    assert parse_email("root@localhost").domain == "localhost"
    for text in ("root@localhost", "root@b\u00fccher"):
        with pytest.raises(RequestError, match="dot"):
            parse_email(text, allow_single_label=False)
    assert parse_email("v@x.test", allow_single_label=False).domain == "x.test"


def test_field_is_named_for_the_domain_too() -> None:
    with pytest.raises(RequestError) as caught:
        parse_email("v@-x.test", "reply")
    assert (caught.value.field, caught.value.value) == ("reply", "v@-x.test")
    with pytest.raises(RequestError) as caught:
        parse_domain("x..test", "message_id_domain")
    assert caught.value.field == "message_id_domain"


@pytest.mark.parametrize(
    ("text", "name", "mailbox"),
    [
        ("v@x.test", None, "v@x.test"),
        ("<v@x.test>", None, "v@x.test"),
        ("Tactful <no-reply@x.test>", "Tactful", "no-reply@x.test"),
        (" Tactful  News < v@x.test > ", "Tactful  News", "v@x.test"),
        ("J. B\u00fccher <v@x.test>", "J. B\u00fccher", "v@x.test"),
        ('"Tactful, Inc." <v@x.test>', "Tactful, Inc.", "v@x.test"),
        ('"a \\"b\\" \\\\ <c@d>" <v@x.test>', 'a "b" \\ <c@d>', "v@x.test"),
        ('"a\\" <b"<v@x.test>', 'a" <b', "v@x.test"),
        ('"" <v@x.test>', None, "v@x.test"),
    ],
)
def test_sender_with_a_name(text: str, name: str | None, mailbox: str) -> None:
    got, address = parse_mailbox(text, "sender")
    assert (got, address.mailbox) == (name, mailbox)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tactful",
        "Tactful, Inc. <v@x.test>",
        "Tactful <v@x.test",
        "Tactful v@x.test>",
        "Tactful <v@x.test> (c)",
        "Tactful <v@x.test> <w@x.test>",
        "Tactful <v@x.test>, <w@x.test>",
        'a "b" <v@x.test>',
        '"a <v@x.test>',
        '"a\\" <v@x.test>',
        "a\r\nBcc: evil@y.test <v@x.test>",
        '"a\r\nBcc: evil@y.test" <v@x.test>',
        "a\u2028b <v@x.test>",
        "Tactful <>",
        "a" * 1_100 + " <v@x.test>",
    ],
)
def test_s3_malformed_sender_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_mailbox(text, "sender")
    assert caught.value.field == "sender"


def attempt(text: str) -> Address | RequestError:
    try:
        return parse_email(text, "email")
    except RequestError as error:
        return error


def check_accepted(address: Address, text: str) -> None:
    mailbox = address.mailbox
    assert text.strip(" \t").startswith(f"{address.local}@")  # nothing was rewritten
    assert address.domain.isascii()
    assert address.domain == address.domain.lower()
    assert len(address.local.encode()) <= 64
    assert len(mailbox.encode()) <= 254
    assert not any(char.isspace() or unicodedata.category(char)[0] == "C" for char in mailbox)
    assert parse_email(mailbox) == address
    # A second look at the key changes nothing, and it still is one local part and one domain.
    local, domain = address.key.split("@")
    assert (Address(local, domain).key, domain) == (address.key, address.domain)
    assert parse_mailbox(f"<{mailbox}>", "sender") == (None, address)
    # The libraries that come after read the same address.
    assert smtplib.quoteaddr(mailbox) == f"<{mailbox}>"
    assert parseaddr(mailbox) == ("", mailbox)
    assert parseaddr(f"Somebody <{mailbox}>") == ("Somebody", mailbox)


@settings(max_examples=1_500, print_blob=True, deadline=None)
@given(
    st.one_of(hostile, st.builds("{}@x.test".format, hostile), st.builds("v@{}".format, hostile))
)
@example("v@x>\r\nRCPT TO:<evil@y.test")
@example("\u0390" * 32 + "@x.test")
def test_s3_hostile_text_is_refused_or_stays_as_it_is(text: str) -> None:
    answer = attempt(text)
    if isinstance(answer, RequestError):
        assert answer.field == "email"
    else:
        check_accepted(answer, text)


@settings(max_examples=1_000, print_blob=True, deadline=None)
@given(likely)
def test_s3_likely_addresses_are_refused_or_stay_as_they_are(text: str) -> None:
    answer = attempt(text)
    if isinstance(answer, RequestError):
        assert answer.field == "email"
    else:
        check_accepted(answer, text)


@settings(max_examples=700, print_blob=True, deadline=None)
@given(
    st.text("abyz09_+-", min_size=1, max_size=30),
    st.from_regex(r"([a-z][a-z0-9]{0,9}\.){1,3}[a-z]{2,6}", fullmatch=True),
    st.integers(0, 1 << 64),
)
def test_s3_case_never_makes_a_second_key(local: str, domain: str, flips: int) -> None:
    text = f"{local}@{domain}"
    other = "".join(c.upper() if flips >> i & 1 else c for i, c in enumerate(text))
    check_accepted(parse_email(text), text)
    assert parse_email(other).key == parse_email(text).key == text


@settings(max_examples=1_000, print_blob=True, deadline=None)
@given(hostile)
def test_s3_quoted_sender_names_come_back(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    text = f'"{quoted}" <v@x.test>'
    if CONTROLS.search(name):
        with pytest.raises(RequestError):
            parse_mailbox(text, "sender")
    else:
        assert parse_mailbox(text, "sender") == (name or None, Address("v", "x.test"))
