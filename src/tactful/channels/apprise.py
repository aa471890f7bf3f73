"""SMS, push and chat through the services that the Apprise library knows; needs `tactful[apprise]`.

    AppriseChannel("sms", "twilio://SID:TOKEN@15551230000/{address}")

One channel is one Apprise URL. Where it holds `{address}`, each recipient's address of the
channel's kind is put there, percent-encoded; otherwise everything goes to the same place.

Two habits of the library are held in check here. It splits addresses at commas and blanks, so that
one recipient's address could name two people, and it drops an address that it cannot use and takes
another instead: Twilio its own number, Telegram whoever made the bot, Pushbullet every device. So
an address consists of few characters, and is refused if the service has not taken it over.

The library answers True or False. False is everything from a wrong password to a service that was
slow; so it means `Retry`, and a receiver may get a second copy. What certainly cannot be better is
`Rejected`, and what raises is `Unknown`.

The library makes its own requests: `channels.egress` does not guard them. A recipient's address can
therefore never be the host. URLs are secrets and are shown as far as their scheme. While a message
is handed over, the library logs nothing from this thread, because it writes parts of URLs.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tactful.core.errors import ConfigError
from tactful.core.model import PERMIT_ENDED, Accepted, Message, Outcome, Rejected, Retry, Unknown
from tactful.core.names import name_key

if TYPE_CHECKING:
    from types import ModuleType

    from apprise import NotifyBase

PLACE: Final = "{address}"

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<rest>.*)", re.S)
_ADDRESS = re.compile(r"[A-Za-z0-9+@:._~=-]{1,320}")
# A service that can be meant by its scheme alone runs on this machine: desktop, syslog, a lamp.
_LOCAL_TEMPLATE: Final = "{schema}://"
_BUNDLED: Final = "apprise.plugins."
# What every service is given by the library; the rest it has made of the URL itself.
_PARSED: Final = frozenset(
    ("user", "password", "host", "port", "fullpath", "query", "tags", "asset")
)
_HTTP_STATUS = re.compile(r"error=(\d{3})\b")
_LOGGERS: Final = ("apprise", "urllib3.connectionpool", "requests_oauthlib.oauth1_auth")


class AppriseChannel:
    """Hands messages to one service of the Apprise library. Any thread may use it.

    `url` is Apprise's, with `{address}` behind the host or before an `@` where the recipient's
    address belongs. `address_kind` is the kind of that address, by default `name`. `allow_local`
    permits services on this machine: desktop notifications, syslog. `concurrency` calls of `send`
    may run at once, each with about `batch` messages.

    Raises ConfigError for a URL that Apprise cannot use, and if Apprise is not installed; its text
    never holds the URL.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        address_kind: str | None = None,
        allow_local: bool = False,
        concurrency: int = 4,
        batch: int = 10,
    ) -> None:
        if concurrency < 1 or batch < 1:
            raise ConfigError(f"apprise.{name}: concurrency and batch must be at least 1")
        self.name = name
        self.concurrency = concurrency
        self.batch = batch
        self._url = url
        self._apprise = _library()
        self._asset = self._apprise.AppriseAsset(
            app_id="Tactful", app_desc="Tactful", app_url="", storage_mode="memory"
        )
        self._scheme, behind_host = _read(name, url)
        self._kind = _service(self._apprise, name, self._scheme, allow_local)
        self.address_kind: str | None = None
        self._named = False
        if PLACE in url:
            self.address_kind = name_key(address_kind or name, "address_kind")
            self._named = behind_host and "targets" in self._kind.template_tokens
        elif address_kind is not None:
            raise ConfigError(f"apprise.{name}.address_kind: the URL has no {PLACE}")
        elif self._instance(url) is None:
            raise ConfigError(f"apprise.{name}.url: Apprise cannot use this {self._scheme} URL")

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Hand over each message, one after the other; see `ports.Channel.send`."""
        return [
            self._hand_over(message) if message.may_go() else PERMIT_ENDED for message in messages
        ]

    def close(self) -> None:
        """Nothing is open between calls."""

    @property
    def where(self) -> str:
        """Where messages go, as far as it is no secret."""
        return f"{self._scheme}://***"

    def __repr__(self) -> str:
        return f"<AppriseChannel {self.name} to {self.where}>"

    def _hand_over(self, message: Message) -> Outcome:
        body = message.text or message.subject
        if not body and not message.html:
            return Rejected("there is nothing to say: neither subject nor text")
        # A new one for each message: services keep state, and are made in under a millisecond.
        with _hushed() as heard:
            service = self._for(message)
            if isinstance(service, Rejected):
                return service
            content: dict[str, Any] = {"body": body, "body_format": "text"}
            takes_html = service.resolve_format("html").value == "html"
            if message.html and (takes_html or not message.text):
                content = {"body": message.html, "body_format": "html"}
            title = message.subject if content["body"] != message.subject else ""
            try:
                taken = service.notify(title=title, **content)
            except Exception as error:
                # Not its text: it may quote the URL.
                return Unknown(f"the service raised {type(error).__name__}")
        if taken:
            return Accepted()
        told = f": HTTP {heard[-1]}" if heard else ""
        return Retry(f"{self._scheme} did not take it{told}")

    def _for(self, message: Message) -> NotifyBase | Rejected:
        """The service, set up for one recipient."""
        if self.address_kind is None:
            service = self._instance(self._url)
            return service if service is not None else Rejected("Apprise cannot use the URL")
        if not _ADDRESS.fullmatch(message.address):
            return Rejected("address: must be 1 to 320 letters, digits or any of +@:._~=-")
        service = self._instance(self._url.replace(PLACE, quote(message.address, safe="")))
        if service is None or (self._named and not _took_over(service, message.address)):
            return Rejected(f"address: is none that {self._scheme} can use")
        return service

    def _instance(self, url: str) -> NotifyBase | None:
        with _hushed():
            made: NotifyBase | None = self._apprise.Apprise.instantiate(url, asset=self._asset)
        return made


def _library() -> ModuleType:
    try:
        import apprise  # noqa: PLC0415 - an extra, and half a second
    except ImportError:
        raise ConfigError("apprise: not installed; pip install 'tactful[apprise]'") from None
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_HUSH)
    return apprise


def _read(name: str, url: str) -> tuple[str, bool]:
    """The scheme of a URL, and whether `{address}` stands behind the host."""
    found = _URL.fullmatch(url)
    if found is None or url.count(PLACE) > 1:
        raise ConfigError(f"apprise.{name}.url: must be scheme://..., with {PLACE} at most once")
    if PLACE in found["authority"].rpartition("@")[2]:
        # Else a recipient could send our requests, and the secrets in them, anywhere.
        raise ConfigError(f"apprise.{name}.url: {PLACE} must not be the host")
    return found["scheme"].lower(), PLACE in found["rest"]


def _service(library: ModuleType, name: str, scheme: str, allow_local: bool) -> type[NotifyBase]:
    """The class of the service that a scheme names; raises ConfigError if it may not be used."""
    known = library.NotificationManager()
    if scheme not in known:
        raise ConfigError(f"apprise.{name}.url: Apprise knows no service {scheme}://")
    kind: type[NotifyBase] = known[scheme]
    local = _LOCAL_TEMPLATE in kind.templates or not kind.__module__.startswith(_BUNDLED)
    if local and not allow_local:
        raise ConfigError(
            f"apprise.{name}.url: {scheme}:// acts on this machine; set allow_local to permit it"
        )
    if not kind.enabled:
        raise ConfigError(f"apprise.{name}.url: {scheme}:// needs a library that is not installed")
    return kind


def _took_over(service: NotifyBase, address: str) -> bool:
    """Whether the service will write to the address, and has not put it aside."""
    kept = (
        value
        for name, value in vars(service).items()
        if name not in _PARSED and "invalid" not in name and not callable(value)
    )
    wanted = _simple(address)
    return bool(wanted) and any(wanted == _simple(text) for text in _texts(kept))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """All texts and numbers in nested values."""
    for value in values:
        if isinstance(value, str | int):
            yield str(value)
        elif isinstance(value, dict):
            yield from _texts([*value.keys(), *value.values()])
        elif isinstance(value, list | tuple | set | frozenset):
            yield from _texts(value)


def _simple(text: str) -> str:
    """Letters and digits only: services write addresses in a form of their own."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


# What the library logs ------------------------------------------------------------------------


class _Hush(logging.Filter):
    """Drops what is logged in a thread that asked for it, and keeps the HTTP status it tells."""

    here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        heard: list[str] | None = getattr(self.here, "heard", None)
        if heard is None:
            return True
        with suppress(TypeError, ValueError):  # a record that does not fit its format
            heard += _HTTP_STATUS.findall(record.getMessage())
        return False


_HUSH: Final = _Hush()


@contextmanager
def _hushed() -> Iterator[list[str]]:
    """Nothing of the library is logged from this thread; gives the HTTP statuses it would tell."""
    outer: list[str] | None = getattr(_HUSH.here, "heard", None)
    _HUSH.here.heard = heard = [] if outer is None else outer
    try:
        yield heard
    finally:
        _HUSH.here.heard = outer
