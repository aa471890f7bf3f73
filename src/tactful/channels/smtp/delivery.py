r"""Messages over one session: pipelined (RFC 2920), about one round trip for each.

Where the server offers PIPELINING, each write but the first holds the data of one message, its
final dot, and the envelope of the next:

    client   MAIL RCPT DATA          data . MAIL RCPT DATA               data . QUIT
    server                  250 250 354                   250 250 250 354            250 221

DATA has to be the last command of a group, and the end of data may be the first of the next
(RFC 2920 section 3.1), so this is as far as the standard lets a client go. Every reply is looked
at. After a message that was refused before its data, RSET clears what is left of it. If DATA was
let through although the recipient was refused, a lone dot ends it, as section 3.1 says; nothing
can be delivered by that, since there is no recipient. Without PIPELINING each command waits for
its reply.

At no time is the data of a message on its way while the answer to an earlier one is open: when a
connection breaks, at most one message of it is in doubt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tactful.channels.smtp.protocol import Capabilities, Session
from tactful.channels.smtp.replies import (
    Progress,
    Stage,
    ends_connection,
    lost,
    outcome,
)
from tactful.channels.smtp.wire import LostError
from tactful.core.model import PERMIT_ENDED, Accepted, Outcome, Rejected, Unknown

_LAST_WRITE = 16_384
_HARMLESS = bytes(octet for octet in range(256) if octet not in b"\r\n\0")


class Mail(NamedTuple):
    """One message with its envelope. `data` has CRLF line ends and is not dot-stuffed."""

    sender: str
    recipient: str
    data: bytes
    smtputf8: bool = False
    may_go: Callable[[], bool] = lambda: True


class StaleError(Exception):
    """A kept connection was over before it took anything of the first message: open another."""


class _Ready(NamedTuple):
    place: int
    mail: bytes
    rcpt: bytes
    payload: bytes
    may_go: Callable[[], bool]

    @property
    def envelope(self) -> bytes:
        return b"%b%bDATA\r\n" % (self.mail, self.rcpt)


def deliver(session: Session, mails: Sequence[Mail]) -> list[Outcome]:
    """Sends `mails` over `session`; one outcome for each, in order.

    Raises StaleError, and has then surely delivered nothing, where the session was used
    before and ended before the first reply. Afterwards `session.usable` tells whether more can be
    sent over it. Raises ValueError for an address that could break out of its command line: an
    address is checked long before, so that is a bug.
    """
    outcomes: list[Outcome | None] = [None] * len(mails)
    ready: list[_Ready] = []
    for index, mail in enumerate(mails):
        made = _prepare(index, mail, session.capabilities)
        if isinstance(made, _Ready):
            ready.append(made)
        else:
            outcomes[index] = made
    if ready:
        _Delivery(session).run(ready, outcomes)
    return [found for found in outcomes if found is not None]


def stuff(data: bytes) -> bytes:
    r"""`data` as it goes over the wire: dots doubled (RFC 5321 section 4.5.2), with its end.

    Raises ValueError for data that could end early on some server: a CR or LF that stands alone
    (SMTP smuggling, VU#302671) or a NUL.
    """
    ends = data.translate(None, _HARMLESS)
    if ends != b"\r\n" * (len(ends) // 2):
        raise ValueError("data holds a NUL, or a CR or LF that stands alone")
    if b"\r\n." in data:
        data = data.replace(b"\r\n.", b"\r\n..")
    if data[:1] == b".":
        data = b"." + data
    if b"\r\n.\r\n" in data:  # pragma: no cover - cannot be; if it ever is, it must not go out
        raise ValueError("data holds its own end")
    return data + (b".\r\n" if data.endswith(b"\r\n") or not data else b"\r\n.\r\n")


def _prepare(index: int, mail: Mail, offered: Capabilities) -> _Ready | Rejected:
    """The bytes of one message for this server, or why the server cannot take it."""
    if mail.smtputf8 and not offered.smtputf8:
        return Rejected("the address needs SMTPUTF8, which the server does not offer")
    size = len(mail.data)
    if offered.size is not None and size > offered.size:
        return Rejected(f"{size} bytes are more than the {offered.size} that the server takes")
    options = ""
    if offered.takes_size:
        options += f" SIZE={size}"
    if not mail.data.isascii():
        if not offered.eight_bit:
            return Rejected("the content needs 8BITMIME, which the server does not offer")
        options += " BODY=8BITMIME"
    if mail.smtputf8:
        options += " SMTPUTF8"
    try:
        payload = stuff(mail.data)
    except ValueError as error:
        return Rejected(str(error))
    charset = "utf-8" if mail.smtputf8 else "ascii"
    sender, recipient = mail.sender.encode(charset), mail.recipient.encode(charset)
    for path in (sender, recipient):
        if b"\r" in path or b"\n" in path or b">" in path or b"<" in path or b"\0" in path:
            raise ValueError("an address must not hold <, > or a line end")
    return _Ready(
        index,
        b"MAIL FROM:<%b>%b\r\n" % (sender, options.encode()),
        b"RCPT TO:<%b>\r\n" % recipient,
        payload,
        mail.may_go,
    )


class _Answer(NamedTuple):
    """What became of an envelope: `refusal` is None where the data may follow."""

    refusal: Outcome | None
    recipient_taken: bool = False
    data_open: bool = False


class _Delivery:
    """The dialogue for one batch; `_progress` is that of the message it is at."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wire = session.wire
        self._timeouts = session.timeouts
        self._pipelining = session.capabilities.pipelining
        self._kept = session.handled > 0
        self._progress = Progress.WAITING
        self._why = ""
        self._envelope_written = False

    def run(self, ready: Sequence[_Ready], outcomes: list[Outcome | None]) -> None:
        """Fills `outcomes` at the index of each of `ready`."""
        session = self._session
        last = len(ready) - 1
        for position, item in enumerate(ready):
            if not session.usable:
                goes = item.may_go()
                outcomes[item.place] = lost(Progress.WAITING, self._why) if goes else PERMIT_ENDED
                continue
            pipelined = self._pipelining and position < last
            following = ready[position + 1].envelope if pipelined else b""
            self._progress = Progress.STARTED
            try:
                outcomes[item.place] = self._transact(item, following)
            except LostError as error:
                self._end(str(error))
                outcomes[item.place] = lost(self._progress, self._why)
            self._envelope_written = pipelined
            self._kept = False
            session.handled += 1

    def _transact(self, item: _Ready, following: bytes) -> Outcome:
        """One message, from its envelope to the answer to its dot."""
        answer = self._envelope(item)
        if answer.refusal is not None:
            if self._session.usable:
                self._clear(answer, following)
            return answer.refusal
        if self._wire.pending:
            # Whatever this is, it is no answer to data that was not yet sent.
            early = self._wire.read(time.monotonic())
            farewell = outcome(Stage.DATA, early) if early.code == 421 else None
            if farewell is None:
                raise LostError(f"the server spoke out of turn: {early.code} {early.text}")
            self._end(early.text)
            return farewell
        complete = self._hand_over(item, following)
        if complete is None:
            self._end("a permit had ended")
            return PERMIT_ENDED
        reply = self._wire.read(time.monotonic() + self._timeouts.dot)
        found = outcome(Stage.DOT, reply)
        assert found is not None
        if not complete or ends_connection(Stage.DOT, reply):
            self._end(f"{reply.code} {reply.text}")
        if not complete and isinstance(found, Accepted):
            return Unknown("the server took the message before it had all of it")
        return found

    def _envelope(self, item: _Ready) -> _Answer:
        """The replies to MAIL, RCPT and DATA; the first refusal is the one that counts."""
        deadline = time.monotonic() + self._timeouts.command
        refusal: Outcome | None = None
        recipient_taken = data_open = False
        for stage, command in (
            (Stage.MAIL, item.mail),
            (Stage.RCPT, item.rcpt),
            (Stage.DATA, b"DATA\r\n"),
        ):
            if not self._pipelining and refusal is not None:
                break
            try:
                if not self._pipelining:
                    deadline = time.monotonic() + self._timeouts.command
                    self._wire.write(command, self._timeouts.command)
                elif stage is Stage.MAIL and not self._envelope_written:
                    self._wire.write(item.envelope, self._timeouts.command)
                reply = self._wire.read(deadline)
            except LostError as error:
                if refusal is None:
                    self._check_stale(stage)
                    raise
                self._end(str(error))
                break
            if reply.code == 421 and refusal is None:
                self._check_stale(stage)
            refusal = refusal or outcome(stage, reply)
            if ends_connection(stage, reply):
                self._end(f"{reply.code} {reply.text}")
                break
            recipient_taken |= stage is Stage.RCPT and reply.code // 100 == 2
            data_open = stage is Stage.DATA and reply.code == 354
        return _Answer(refusal, recipient_taken, data_open)

    def _clear(self, answer: _Answer, following: bytes) -> None:
        """Leaves a refused message behind, so that the next one can be begun."""
        if answer.data_open and answer.recipient_taken:
            # MAIL was refused, the rest was not: a lone dot could deliver an empty message.
            self._end("the server let a refused message go on")
            return
        commands = (b".\r\n", b"RSET\r\n") if answer.data_open else (b"RSET\r\n",)
        seconds = self._timeouts.command
        try:
            self._wire.write(b"".join(commands) + following, seconds)
            deadline = time.monotonic() + seconds
            for _ in commands:
                reply = self._wire.read(deadline)
                if reply.code == 421:
                    raise LostError(f"421 {reply.text}")
        except LostError as error:
            self._end(str(error))

    def _hand_over(self, item: _Ready, following: bytes) -> bool | None:
        """Writes the data; True where all of it was taken, None where it may no longer go.

        The dot is in the last write, and that one is short: when a long message breaks off in the
        middle, it surely did not arrive, and is not in doubt. The permit is looked at right before
        that write. Data that was begun can only be left by leaving the connection.
        """
        seconds = self._timeouts.dot
        payload = item.payload
        if len(payload) > _LAST_WRITE:
            if not self._wire.write(payload[:-_LAST_WRITE], seconds):
                return False
            payload = payload[-_LAST_WRITE:]
        try:
            return self._wire.write(payload + following, seconds, item.may_go)
        finally:
            if self._wire.took_part:
                self._progress = Progress.HANDED

    def _check_stale(self, stage: Stage) -> None:
        if self._kept and stage is Stage.MAIL:
            self._session.usable = False
            raise StaleError

    def _end(self, why: str) -> None:
        self._why = why
        self._session.usable = False
