"""Recipients: who they are, what they received, and what they do not want."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError

from tactful.app import Tactful
from tactful.core.errors import NotFound, RequestError
from tactful.core.model import Recipient
from tactful.engine.insight import InboxItem
from tactful.engine.people import checked
from tactful.http import answers
from tactful.http.bodies import ImportedPerson, Person, Preferences
from tactful.http.intake import BulkRoute, GuardedRoute
from tactful.http.keyring import Admin, Sender, Viewer
from tactful.http.places import AfterNumber, IdPath, Limit, WhoPath
from tactful.http.problems import refused
from tactful.http.several import items_of, several
from tactful.http.worlds import Both

router = APIRouter(prefix="/recipients", tags=["recipients"], route_class=GuardedRoute)
bulk = APIRouter(prefix="/recipients", tags=["recipients"], route_class=BulkRoute)
_PEOPLE: TypeAdapter[ImportedPerson] = TypeAdapter(ImportedPerson)


def person_shown(person: Recipient) -> dict[str, Any]:
    """A recipient as they are told."""
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "timezone": person.timezone,
        "locale": person.locale,
        "addresses": dict(person.addresses),
        "mute": list(person.mute),
    }


def message_shown(item: InboxItem) -> dict[str, Any]:
    """A received message as it is told."""
    return {
        "id": item.id,
        "notification_id": item.notification_id,
        "type": item.type,
        "channel": item.channel,
        "subject": item.subject,
        "text": item.text,
        "at": item.at,
        "read": item.read,
    }


def _known(app: Tactful, who: str) -> Recipient:
    found = app.recipients.get(who)
    if found is None:
        raise NotFound("recipient", who, "is not registered")
    return found


@router.get("", response_model=answers.Page[answers.Recipient])
def recipients(key: Viewer, worlds: Both, cursor: AfterNumber = 0, limit: Limit = 100) -> Any:
    """Who is registered, in the order of registration, page by page."""
    page = worlds.of(key).recipients.page(cursor, limit)
    return {
        "items": [person_shown(person) for _, person in page],
        "next": page[-1][0] if len(page) == limit else None,
    }


@router.get("/{recipient}", response_model=answers.Recipient)
def recipient(recipient: WhoPath, key: Viewer, worlds: Both) -> Any:
    """One recipient, by id or address."""
    return person_shown(_known(worlds.of(key), recipient))


@router.put(
    "/{recipient}",
    response_model=answers.Recipient,
    responses={201: {"description": "Registered", "model": answers.Recipient}},
)
def put(recipient: WhoPath, body: Person, key: Sender, worlds: Both, response: Response) -> Any:
    """Register a recipient under this id, or change the one that has it; all fields are replaced.

    An address that belonged to somebody else moves along.
    """
    given = body.model_dump(exclude={"mute"})
    person = checked(Recipient(recipient, **given, mute=tuple(body.mute)))
    if worlds.of(key).recipients.put_many([person]):
        response.status_code = 201
    return person_shown(person)


@router.delete("/{recipient}", status_code=204)
def remove(recipient: WhoPath, key: Admin, worlds: Both) -> None:
    """Forget a recipient, by id or address; what was sent to them stays counted."""
    if not worlds.of(key).recipients.remove(recipient):
        raise NotFound("recipient", recipient, "is not registered")


@router.get("/{recipient}/inbox", response_model=answers.Listing[answers.InboxMessage])
def inbox(recipient: WhoPath, key: Viewer, worlds: Both) -> Any:
    """What a recipient has received, oldest first; registered or not."""
    return {"items": [message_shown(item) for item in worlds.of(key).inbox(recipient)]}


@router.post("/{recipient}/inbox/{delivery_id}/read", response_model=answers.Read)
def read(recipient: WhoPath, delivery_id: IdPath, key: Sender, worlds: Both) -> Any:
    """Mark a received message read."""
    found = worlds.of(key).inbox(recipient)
    if all(item.id != delivery_id for item in found):
        raise NotFound("delivery_id", delivery_id, "is not in this inbox")
    return {"changed": found.mark_read(delivery_id)}


@router.get("/{recipient}/preferences", response_model=answers.Preferences)
def preferences(recipient: WhoPath, key: Viewer, worlds: Both) -> Any:
    """What a recipient does not want."""
    return {"mute": list(_known(worlds.of(key), recipient).mute)}


@router.put("/{recipient}/preferences", response_model=answers.Preferences)
def prefer(recipient: WhoPath, body: Preferences, key: Sender, worlds: Both) -> Any:
    """What a recipient does not want from now on."""
    return {"mute": list(worlds.of(key).recipients.prefer(recipient, body.mute).mute)}


@bulk.post(
    "/import",
    response_model=answers.Imported,
    openapi_extra=several(ImportedPerson),
)
async def import_(request: Request, key: Sender, worlds: Both) -> Response:
    """Register or change up to 1,000 recipients; each has a result of its own, in order."""
    items = await items_of(request)
    found = await run_in_threadpool(_import, worlds.of(key), items)
    return Response(orjson.dumps(found), media_type="application/json")


def _import(app: Tactful, items: list[Any]) -> dict[str, Any]:
    good: list[Recipient] = []
    results = []
    for item in items:
        try:
            person = _imported(item)
        except RequestError as error:
            results.append(refused(error))
        else:
            good.append(person)
            results.append(person_shown(person))
    return {"new": app.recipients.put_many(good), "results": results}


def _imported(item: object) -> Recipient:
    try:
        found = _PEOPLE.validate_python(item)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "item"
        raise RequestError(field, first["input"], first["msg"]) from None
    given = found.model_dump(exclude={"mute"})
    return checked(Recipient(**given, mute=tuple(found.mute)))
