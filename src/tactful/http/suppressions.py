"""The suppression list: addresses to which nobody may write again."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query

from tactful.core.errors import NotFound
from tactful.http import answers
from tactful.http.bodies import Suppressed
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin, Sender, Viewer
from tactful.http.worlds import Both

router = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=GuardedRoute)
Address: TypeAlias = Annotated[str, Query(min_length=1, max_length=320)]
Channel: TypeAlias = Annotated[str, Query(min_length=1, max_length=100)]


@router.get("", response_model=answers.Listing[answers.Suppression])
def suppressions(address: Address, key: Viewer, worlds: Both) -> Any:
    """What is on the list for an address."""
    found = worlds.of(key).recipients.suppressions(address)
    return {"items": [one._asdict() for one in found]}


@router.post("", status_code=201, response_model=answers.Listing[answers.Suppression])
def suppress(body: Suppressed, key: Sender, worlds: Both) -> Any:
    """Put an address on the list; gives all that is on it for this address."""
    people = worlds.of(key).recipients
    people.suppress(body.address, channel=body.channel, scope=body.scope, reason=body.reason)
    return {"items": [one._asdict() for one in people.suppressions(body.address)]}


@router.delete("", status_code=204)
def unsuppress(address: Address, key: Admin, worlds: Both, channel: Channel = "email") -> None:
    """Take an address off the list, for one channel and all categories."""
    if not worlds.of(key).recipients.unsuppress(address, channel=channel):
        raise NotFound("address", address, "is not on the list")
