"""Templates: what messages are made from, with a version for each locale and channel."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Query

from tactful.app import Tactful
from tactful.core.errors import NotFound
from tactful.core.names import name_key
from tactful.http import answers
from tactful.http.bodies import TemplateParts, TemplateTrial
from tactful.http.intake import GuardedRoute
from tactful.http.keyring import Admin, Viewer
from tactful.http.places import NamePath
from tactful.http.versions import add_history, author_of
from tactful.http.worlds import Both
from tactful.templates.library import Renderer, Template, choose

router = APIRouter(prefix="/templates", tags=["templates"], route_class=GuardedRoute)
Locale: TypeAlias = Annotated[str, Query(pattern=r"^[0-9A-Za-z_-]{0,35}$")]
Channel: TypeAlias = Annotated[str, Query(pattern=r"^[0-9a-z_.-]{0,50}$")]
_renderer = Renderer()


@router.get("", response_model=answers.Listing[answers.Template])
def templates(key: Viewer, worlds: Both) -> Any:
    """All templates in force."""
    return {"items": [asdict(one) for one in worlds.of(key).templates.list()]}


add_history(router, lambda app: app.templates)


@router.post("/preview", response_model=answers.Rendered)
def preview(trial: TemplateTrial, key: Viewer, worlds: Both) -> Any:
    """What a template makes of some data; nothing is stored."""
    if trial.template is None:
        template = Template("preview", subject=trial.subject, text=trial.text, html=trial.html)
        _renderer.check(template)
    else:
        template = _fitting(worlds.of(key), trial)
    return asdict(_renderer.render(template, trial.data))


def _fitting(app: Tactful, trial: TemplateTrial) -> Template:
    wanted = name_key(trial.template, "template")
    named = [one for one in app.templates.list() if one.name == wanted]
    found = choose(named, trial.locale, trial.channel)
    if found is None:
        raise NotFound("template", wanted, "is no template for this locale and channel")
    return found


@router.put("/{name}", response_model=answers.Changed)
def put(
    *,
    name: NamePath,
    parts: TemplateParts,
    key: Admin,
    worlds: Both,
    locale: Locale = "",
    channel: Channel = "",
) -> Any:
    """Add or change a template, for a locale and a channel or for all."""
    template = Template(name_key(name, "name"), locale, channel, **parts.model_dump())
    return {"version": worlds.of(key).templates.put(template, author=author_of(key))}


@router.delete("/{name}", response_model=answers.Changed)
def remove(
    name: NamePath, key: Admin, worlds: Both, locale: Locale = "", channel: Channel = ""
) -> Any:
    """Take a template out of force, the one for this locale and channel."""
    stored = "/".join(filter(None, (name_key(name, "name"), locale, channel)))
    return {"version": worlds.of(key).templates.remove(stored, author=author_of(key))}
