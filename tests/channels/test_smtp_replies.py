"""The table from replies to outcomes: the rows as promised, and no reply without an answer."""

import pytest

from tactful.channels.smtp.replies import (
    MISCONFIGURED_WAIT_MS,
    SESSION_STAGES,
    Progress,
    Reply,
    Stage,
    ends_connection,
    lost,
    outcome,
    served,
)
from tactful.core.model import Accepted, Rejected, Retry, Unknown

MESSAGE_STAGES = [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT]
US = "about us"


def reply(text: str) -> Reply:
    return Reply(int(text[:3]), (text[4:],))


TABLE = [
    (Stage.GREETING, "220 hello", None),
    (Stage.GREETING, "421 too busy", "uncounted"),
    (Stage.GREETING, "450 later", "uncounted"),
    (Stage.GREETING, "554 5.7.0 not you", US),
    (Stage.EHLO, "550 no", US),
    (Stage.STARTTLS, "454 no TLS today", "uncounted"),
    (Stage.STARTTLS, "501 no", US),
    (Stage.AUTH, "235 2.7.0 in", None),
    (Stage.AUTH, "334 more", "uncounted"),
    (Stage.AUTH, "454 4.7.0 later", "uncounted"),
    (Stage.AUTH, "535 5.7.8 wrong", US),
    (Stage.MAIL, "250 ok", None),
    (Stage.MAIL, "421 4.3.2 bye", "uncounted"),
    (Stage.MAIL, "451 4.7.1 greylisted", "counted"),
    (Stage.MAIL, "530 5.7.0 login first", US),
    (Stage.MAIL, "503 5.5.1 EHLO first", US),
    (Stage.MAIL, "553 5.1.8 who are you", US),
    (Stage.MAIL, "555 5.5.4 parameter", US),
    (Stage.MAIL, "552 5.3.4 too big", "rejected"),
    (Stage.MAIL, "550 5.7.1 no", "rejected"),
    (Stage.MAIL, "354 what", "counted"),
    (Stage.RCPT, "250 ok", None),
    (Stage.RCPT, "251 will forward", None),
    (Stage.RCPT, "252 cannot verify", None),
    (Stage.RCPT, "450 4.2.0 busy", "counted"),
    (Stage.RCPT, "452 4.2.2 full", "counted"),
    (Stage.RCPT, "550 5.1.1 nobody", "rejected"),
    (Stage.RCPT, "555 5.5.2 syntax", "rejected"),
    (Stage.RCPT, "550 5.7.8 log in", US),
    (Stage.RCPT, "421 bye", "uncounted"),
    (Stage.DATA, "354 go", None),
    (Stage.DATA, "250 what", "counted"),
    (Stage.DATA, "451 no", "counted"),
    (Stage.DATA, "554 5.5.1 no", "rejected"),
    (Stage.DATA, "503 sequence", US),
    (Stage.DOT, "250 2.0.0 queued as 1", "accepted"),
    (Stage.DOT, "451 4.3.0 disk", "counted"),
    (Stage.DOT, "452 4.3.1 full", "counted"),
    (Stage.DOT, "421 4.3.0 bye", "uncounted"),
    (Stage.DOT, "552 5.3.4 too big", "rejected"),
    (Stage.DOT, "554 5.6.0 spam", "rejected"),
    (Stage.DOT, "354 what", "unknown"),
    (Stage.DOT, "000 what", "unknown"),
]


@pytest.mark.parametrize(("stage", "text", "expected"), TABLE)
def test_each_row_of_the_table(stage: Stage, text: str, expected: str | None):
    found = outcome(stage, reply(text))
    match expected:
        case None:
            assert found is None
        case "accepted":
            assert found == Accepted(ref=text[4:])
        case "rejected":
            assert isinstance(found, Rejected)
        case "unknown":
            assert isinstance(found, Unknown)
        case "about us":
            assert isinstance(found, Retry)
            assert (found.counted, found.after_ms) == (False, MISCONFIGURED_WAIT_MS)
        case _:
            assert isinstance(found, Retry)
            assert (found.counted, found.after_ms) == (expected == "counted", None)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_code_has_an_answer_that_keeps_the_promises(stage: Stage):
    for code in range(1000):
        given = Reply(code, ("text",))
        found = outcome(stage, given)
        if found is None:
            assert stage is not Stage.DOT
            assert code == 354 if stage is Stage.DATA else 200 <= code < 300
            assert not ends_connection(stage, given)
        assert isinstance(found, Accepted) == (stage is Stage.DOT and 200 <= code < 300)
        if isinstance(found, Unknown):
            assert stage is Stage.DOT
        if isinstance(found, Rejected):
            assert 500 <= code < 600
            assert stage not in SESSION_STAGES
        if stage in SESSION_STAGES and found is not None:
            assert isinstance(found, Retry)
            assert not found.counted


@pytest.mark.parametrize(
    ("stage", "text", "bounce", "status"),
    [
        (Stage.RCPT, "550 5.1.1 nobody", "hard", "5.1.1"),
        (Stage.RCPT, "550 5.1.2 no such domain", "hard", "5.1.2"),
        (Stage.RCPT, "553 5.1.3 no address", "hard", "5.1.3"),
        (Stage.RCPT, "550 5.1.6 moved away", "hard", "5.1.6"),
        (Stage.RCPT, "556 5.1.10 takes no mail", "hard", "5.1.10"),
        (Stage.DOT, "550 5.1.10 RESOLVER.ADR.RecipNotFound", "hard", "5.1.10"),
        (Stage.RCPT, "550 5.2.1 disabled", "hard", "5.2.1"),
        (Stage.RCPT, "552 5.2.2 full", "soft", "5.2.2"),
        (Stage.DOT, "552 5.2.3 too long for the mailbox", "soft", "5.2.3"),
        (Stage.RCPT, "550 5.1.0 address rejected", "soft", "5.1.0"),
        (Stage.RCPT, "550 User unknown", "soft", ""),
        (Stage.RCPT, "553 mailbox name not allowed", "soft", ""),
        (Stage.RCPT, "550 relay not permitted", "", ""),
        (Stage.RCPT, "554 5.7.1 Relay access denied", "", "5.7.1"),
        (Stage.RCPT, "550 5.1.0 Sender address rejected: User unknown", "", "5.1.0"),
        (Stage.RCPT, "550 5.7.1 blocked", "", "5.7.1"),
        (Stage.RCPT, "554 no", "", ""),
        (Stage.DOT, "550 spam", "", ""),
        (Stage.MAIL, "550 5.1.1 nobody", "", "5.1.1"),
        (Stage.DOT, "554 5.6.0 spam", "", "5.6.0"),
    ],
)
def test_what_a_refusal_says_about_the_address(stage: Stage, text: str, bounce: str, status: str):
    found = outcome(stage, reply(text))

    assert isinstance(found, Rejected)
    assert (found.bounce, found.status) == (bounce, status)


def test_what_ends_the_connection():
    assert all(ends_connection(stage, Reply(421, ("",))) for stage in Stage)
    assert ends_connection(Stage.DATA, Reply(250, ("",)))
    assert ends_connection(Stage.RCPT, Reply(354, ("",)))
    assert ends_connection(Stage.DOT, Reply(700, ("",)))
    assert not any(ends_connection(stage, Reply(550, ("",))) for stage in MESSAGE_STAGES)


def test_an_outcome_names_the_stage_the_code_and_the_text():
    assert outcome(Stage.RCPT, reply("550 5.1.1 nobody here")) == Rejected(
        "RCPT: 550 5.1.1 nobody here", "hard", "5.1.1"
    )
    assert outcome(Stage.DOT, Reply(451, ("one", "two"))) == Retry("end of data: 451 one two")


def test_the_reference_is_the_first_line_in_printable_short_form():
    assert outcome(Stage.DOT, Reply(250, (" a\x1b[31mb\x00 ", "second"))) == Accepted(
        ref="a?[31mb?"
    )
    assert outcome(Stage.DOT, Reply(250, ("",))) == Accepted(ref=None)
    found = outcome(Stage.DOT, Reply(250, ("x" * 5000,)))
    assert isinstance(found, Accepted)
    assert found.ref is not None
    assert len(found.ref) == 200


def test_what_a_server_says_to_a_login_is_not_repeated():
    found = outcome(Stage.AUTH, Reply(535, ("5.7.8 wrong password: hunter2",)))
    assert found == Retry("AUTH: 535 5.7.8", after_ms=MISCONFIGURED_WAIT_MS, counted=False)
    assert outcome(Stage.AUTH, Reply(454, ("hunter2",))) == Retry("AUTH: 454", counted=False)


def test_the_enhanced_code_is_read_only_at_the_start():
    assert Reply(550, ("5.1.1 nobody",)).enhanced == "5.1.1"
    assert Reply(550, ("5.1.1",)).enhanced == "5.1.1"
    assert Reply(550, ("see 5.1.1",)).enhanced is None
    assert Reply(550, ("5.1.1.1 x",)).enhanced is None


def test_a_lost_connection_is_judged_by_how_far_the_message_had_come():
    assert lost(Progress.WAITING, "gone") == Retry("not begun: gone", counted=False)
    assert lost(Progress.STARTED, "gone") == Retry("gone")
    assert isinstance(lost(Progress.HANDED, "gone"), Unknown)


@pytest.mark.parametrize("code", [450, 451, 452, 499, 550, 552, 554])
@pytest.mark.parametrize("stage", MESSAGE_STAGES)
def test_a_reply_about_a_message_says_nothing_about_the_server(stage, code):
    found = outcome(stage, reply(f"{code} 4.2.2 mailbox full"))
    assert found is not None
    assert served(found) is None


@pytest.mark.parametrize("progress", Progress)
def test_a_connection_that_ends_speaks_against_the_server(progress):
    assert served(lost(progress, "no reply in time")) is False


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("text", ["421 4.3.2 closing", "535 5.7.8 who are you"])
def test_a_refusal_of_us_speaks_against_the_server(stage, text):
    found = outcome(stage, reply(text))
    assert found is not None
    assert served(found) is False


def test_a_mail_that_was_taken_speaks_for_the_server():
    assert served(Accepted("2.0.0 ok")) is True
