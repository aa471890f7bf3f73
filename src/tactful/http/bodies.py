"""What request bodies look like: the schemas of the API's description.

What a value has to be is checked where it always is, by the engine; here is its type, and what the
description says of bounds.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tactful.engine.requests import KEY_MAX, SUBJECT_MAX, TEXT_MAX


class Body(BaseModel):
    """A request body: of the right types, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """The fields that the caller gave."""
        return self.model_dump(exclude_unset=True)


class Announcement(Body):
    """What is said, to whoever it is for."""

    type: str = Field(description="What kind of notification this is; rules speak of it.")
    subject: str = Field("", json_schema_extra={"maxLength": SUBJECT_MAX})
    text: str = Field("", json_schema_extra={"maxLength": TEXT_MAX})
    html: str | None = Field(None, json_schema_extra={"maxLength": TEXT_MAX})
    template: str | None = Field(None, description="A template instead of subject and text.")
    data: dict[str, Any] | None = Field(None, description="What the template is filled with.")
    channels: list[str] | str | None = Field(None, description="Those of the type by default.")
    priority: str | None = Field(None, description="low, normal, high or critical.")
    ttl: int | str | None = Field(None, description="Milliseconds, or a span such as `2h`.")
    deliver_at: int | None = Field(None, description="Not before this instant, in milliseconds.")
    collapse_key: str | None = None


class Notification(Announcement):
    """One notification to one recipient."""

    to: str = Field(description="The id or the address of the recipient.")


class BulkNotification(Notification):
    """One of many notifications."""

    idempotency_key: str | None = Field(
        None,
        description="As the header `Idempotency-Key`.",
        json_schema_extra={"minLength": 1, "maxLength": KEY_MAX},
    )


class Person(Body):
    """What is known of a recipient; what is left out is at its default."""

    name: str | None = None
    email: str | None = None
    timezone: str = Field("UTC", description="An IANA zone, such as Europe/Vienna.")
    locale: str = Field("en", description="A language tag, such as de-AT.")
    addresses: dict[str, str] = Field(default_factory=dict, description="By kind, such as sms.")
    mute: list[str] = Field(
        default_factory=list,
        description="What they do not want: all, type:NAME, category:NAME, channel:NAME.",
    )


class ImportedPerson(Person):
    """One of many recipients."""

    id: str


class Preferences(Body):
    """What a recipient does not want: all, type:NAME, category:NAME, channel:NAME."""

    mute: list[str]


class TypeFields(Body):
    """What a type brings along by default."""

    category: str = "default"
    channels: list[str] = Field(default_factory=list)
    priority: str = "normal"
    ttl: int | str | None = Field(None, description="Milliseconds, or a span such as `2h`.")
    on_ambiguous: str = Field("retry", description="retry (at least once) or hold (at most once).")
    mandatory: bool = Field(False, description="Whether it ignores what people mute.")
    tracked: bool = Field(True, description="Whether its mails say what is opened and clicked.")


class TemplateParts(Body):
    """The parts of a template; one that is empty is absent."""

    subject: str = ""
    text: str = ""
    html: str | None = None


class TemplateTrial(TemplateParts):
    """A template by name or as it is, and the data to fill it with."""

    template: str | None = Field(None, description="One that is stored, instead of parts.")
    locale: str = ""
    channel: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class Suppressed(Body):
    """An address to which nobody may write again."""

    address: str
    channel: str = "email"
    scope: str = Field("all", description="all, or a category.")
    reason: str = Field("manual", max_length=200)


class NewKey(Body):
    """A key to be made."""

    name: str
    scopes: list[str] = Field(description="Some of send, read and admin; or test alone.")
    lives: int | str | None = Field(None, description="Milliseconds, or a span such as `90d`.")


class Rotation(Body):
    """How a key gets its next secret."""

    overlap: int | str = Field("1d", description="How long the secret before is good for, too.")
    lives: int | str | None = Field(None, description="How long the new one is good for.")


class RulesTrial(Body):
    """A change of the rules to be tried: all of them, or one, or one less."""

    rules: list[dict[str, Any]] | None = Field(None, description="The rules that would be all.")
    rule: dict[str, Any] | None = Field(None, description="One that is added or changed.")
    remove: str | None = Field(None, description="The name of one that is taken out.")
    days: int = Field(7, ge=1, le=90, description="How far to look back.")
    people: int = Field(5, ge=0, le=100, description="How many of those hit most to name.")
