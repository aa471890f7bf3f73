"""Endpoints: where other programs are told what happens. See `engine.endpoints`."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Body as Given
from pydantic import BaseModel, Field

from tactful.core.errors import NotFound
from tactful.core.model import Event
from tactful.engine.endpoints import Endpoint, Endpoints, Place
from tactful.http import answers
from tactful.http.bodies import Body
from tactful.http.deliveries import told
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin
from tactful.http.places import NamePath
from tactful.http.versions import author_of
from tactful.http.worlds import Both
from tactful.runtime.entropy import new_secret

router = APIRouter(prefix="/endpoints", tags=["endpoints"], route_class=GuardedRoute)


class NewEndpoint(Body):
    """Where to tell what happens."""

    url: str = Field(description="https, and a public address.")
    events: list[str] = Field([], description="Names of events; none for all.")
    form: str = Field("standard", description="standard or cloudevents.")
    secrets: list[str] | None = Field(
        None, description="`whsec_...`, the newest first; what is in force, or a new one, without."
    )


class Numbers(Body):
    """Events by their `seq`."""

    seqs: list[Annotated[int, Field(ge=1, le=2**62)]] = Field(max_length=1000)


class After(Body):
    """From after this event on."""

    after: int = Field(ge=0, le=2**62)


class Standing(BaseModel):
    """How far an endpoint has come."""

    after: int
    again: list[int]
    tries: int
    not_before: int
    failing_since: int | None
    stopped: str | None


class EndpointShown(BaseModel):
    """An endpoint and how far it has come. `secret` is there when it was made here, this once."""

    name: str
    url: str
    events: list[str]
    form: str
    place: Standing
    secret: str | None = None


def shown(endpoint: Endpoint, place: Place, secret: str | None = None) -> dict[str, Any]:
    """An endpoint as it is told: without its secrets, but for one that was made just now."""
    return {
        "name": endpoint.name,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "form": endpoint.form,
        "place": {
            "after": place.after,
            "again": list(place.again),
            "tries": place.tries,
            "not_before": place.not_before,
            "failing_since": place.failing_since,
            "stopped": place.stopped,
        },
        "secret": secret,
    }


def _secret() -> str:
    return "whsec_" + base64.b64encode(bytes.fromhex(new_secret())).decode()


def _known(endpoints: Endpoints, name: str) -> Endpoint:
    found = endpoints.get(name)
    if found is None:
        raise NotFound("name", name, "is no endpoint in force")
    return found


@router.get("", response_model=answers.Listing[EndpointShown])
def endpoints(key: Admin, worlds: Both) -> Any:
    """All endpoints, by name."""
    known = worlds.of(key).endpoints
    return {"items": [shown(one, known.place(one.name)) for one in known.list()]}


@router.get("/{name}", response_model=EndpointShown)
def endpoint(name: NamePath, key: Admin, worlds: Both) -> Any:
    """One endpoint."""
    known = worlds.of(key).endpoints
    return shown(_known(known, name), known.place(name))


@router.put("/{name}", response_model=EndpointShown)
def put(name: NamePath, body: NewEndpoint, key: Admin, worlds: Both) -> Any:
    """Add or change an endpoint; a new one is told what happens from now on."""
    known = worlds.of(key).endpoints
    before, made = known.get(name), None
    if body.secrets is not None:
        secrets = tuple(body.secrets)
    elif before is not None:
        secrets = before.secrets
    else:
        made = _secret()
        secrets = (made,)
    wanted = Endpoint(name, body.url, secrets, tuple(body.events), body.form)
    known.put(wanted, author=author_of(key))
    return shown(_known(known, name), known.place(name), made)


@router.post("/{name}/rotate", response_model=EndpointShown)
def rotate(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Give it another secret, shown this once; the one before gives a second signature."""
    known = worlds.of(key).endpoints
    found, made = _known(known, name), _secret()
    secrets = (made, found.secrets[0])
    changed = Endpoint(found.name, found.url, secrets, found.events, found.form)
    known.put(changed, author=author_of(key))
    return shown(changed, known.place(name), made)


@router.delete("/{name}", response_model=answers.Changed)
def remove(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Tell it nothing more."""
    return {"version": worlds.of(key).endpoints.remove(name, author=author_of(key))}


@router.post("/{name}/resume", response_model=EndpointShown)
def resume(name: NamePath, key: Admin, worlds: Both) -> Any:
    """Go on at once, where it stopped or waits."""
    known = worlds.of(key).endpoints
    known.resume(name)
    return shown(_known(known, name), known.place(name))


@router.post("/{name}/replay", response_model=EndpointShown)
def replay(name: NamePath, body: Annotated[After, Given()], key: Admin, worlds: Both) -> Any:
    """Tell it everything after an event once more."""
    known = worlds.of(key).endpoints
    known.replay(name, body.after)
    return shown(_known(known, name), known.place(name))


@router.get("/{name}/set-aside", response_model=answers.Listing[answers.Event])
def set_aside(name: NamePath, key: Admin, worlds: Both) -> Any:
    """What it did not take, often enough: facts that name the event by its `seq` in `data`."""
    known = worlds.of(key).endpoints
    found: list[Event] = list(known.set_aside(_known(known, name).name))
    return {"items": [told(event) for event in found]}


@router.post("/{name}/again", response_model=EndpointShown)
def again(name: NamePath, body: Annotated[Numbers, Given()], key: Admin, worlds: Both) -> Any:
    """Tell it some events once more, before all others."""
    known = worlds.of(key).endpoints
    known.again(name, body.seqs)
    return shown(_known(known, name), known.place(name))
