"""The whole at a glance."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tactful import __version__
from tactful.http import answers
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Viewer
from tactful.http.worlds import Both

router = APIRouter(tags=["status"], route_class=GuardedRoute)


@router.get("/status", response_model=answers.Status)
def status(key: Viewer, worlds: Both) -> Any:
    """How many deliveries are in each state, what is due next, and how far behind it is."""
    # Where the store is, is nobody's business out here.
    found = {name: value for name, value in worlds.of(key).status().items() if name != "store"}
    return {"version": __version__, **found}
