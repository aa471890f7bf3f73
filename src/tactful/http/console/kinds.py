"""Types of notifications, and templates with a preview of what they render to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Response

from tactful.core.errors import NotFound, RequestError
from tactful.core.model import NotificationType
from tactful.core.names import name_key
from tactful.http.console.deliveries import document
from tactful.http.console.forms import template_of, type_of
from tactful.http.console.gate import Editor, Here, Viewer, Visit
from tactful.http.console.pages import foreign, moved, page
from tactful.templates.library import Rendered, Renderer, RenderError, Template

router = APIRouter()
_TYPE: Final = {
    **dict.fromkeys(("name", "channels", "ttl", "mandatory"), ""),
    "category": "default",
    "priority": "normal",
    "on_ambiguous": "retry",
    "tracked": "yes",
}
_TEMPLATE: Final = dict.fromkeys(("name", "locale", "channel", "subject", "text", "html"), "")


@router.get("/types")
def types(visit: Viewer, console: Here, said: str = "") -> Response:
    """The types in force, and those that were used without being known."""
    unknown = console.app.status()["unknown_types"]
    rows = console.app.types.list()
    return page("types.html.j2", visit, area="types", said=said, rows=rows, unknown=unknown)


@router.get("/types/edit")
def edit_type(visit: Viewer, console: Here, name: str = "", new: str = "") -> Response:
    """One type as a form."""
    if not name:
        return _type_form(visit, {**_TYPE, "name": new}, new=True)
    found = console.app.types.get(name)
    if found is None:
        raise NotFound("name", name, "is no type in force")
    return _type_form(visit, _type_fields(found), new=False)


@router.post("/types/edit")
def change_type(visit: Editor, console: Here) -> Response:
    """Add or change a type."""
    form = {**_TYPE, **visit.form}
    new = form.get("new") == "yes"
    try:
        wanted = type_of(form)
        if new and console.app.types.get(wanted.name) is not None:
            raise RequestError("name", wanted.name, "is the name of a type in force")
        console.app.types.put(wanted, author=visit.author)
    except RequestError as error:
        return _type_form(visit, form, new=new, error=error)
    return moved("types", said="saved")


@router.post("/types/remove")
def remove_type(visit: Editor, console: Here) -> Response:
    """Take a type out of force."""
    console.app.types.remove(visit.form.get("name", ""), author=visit.author)
    return moved("types", said="removed")


def _type_fields(found: NotificationType) -> dict[str, str]:
    return {
        "name": found.name,
        "category": found.category,
        "channels": ", ".join(found.channels),
        "priority": found.priority,
        "ttl": "" if found.ttl_ms is None else f"{found.ttl_ms}ms",
        "on_ambiguous": found.on_ambiguous,
        "mandatory": "yes" if found.mandatory else "",
        "tracked": "yes" if found.tracked else "no",
    }


def _type_form(
    visit: Visit, fields: Mapping[str, str], *, new: bool, error: RequestError | None = None
) -> Response:
    status = 200 if error is None else 422
    return page(
        "type.html.j2", visit, status=status, area="types", fields=fields, new=new, error=error
    )


# Templates ------------------------------------------------------------------------------------


def key_of(template: Template) -> str:
    """The name under which a template has its versions."""
    parts = (template.name, template.locale, template.channel)
    return name_key("/".join(filter(None, parts)), "name")


@router.get("/templates")
def templates(visit: Viewer, console: Here, said: str = "") -> Response:
    """The templates in force."""
    rows = [(key_of(one), one) for one in console.app.templates.list()]
    return page("templates.html.j2", visit, area="templates", said=said, rows=rows)


@router.get("/templates/edit")
def edit_template(visit: Viewer, console: Here, key: str = "") -> Response:
    """One template as a form."""
    if not key:
        return _template_form(visit, {**_TEMPLATE, "data": "{}"}, new=True)
    found = console.app.templates.get(key)
    if found is None:
        raise NotFound("key", key, "is no template in force")
    fields = {field: getattr(found, field) or "" for field in _TEMPLATE}
    return _template_form(visit, {**fields, "data": "{}"}, new=False)


@router.post("/templates/edit")
def change_template(visit: Editor, console: Here) -> Response:
    """Add or change a template."""
    form = {**_TEMPLATE, "data": "{}", **visit.form}
    new = form.get("new") == "yes"
    wanted = template_of(form)
    try:
        if new and console.app.templates.get(key_of(wanted)) is not None:
            raise RequestError("name", key_of(wanted), "is the name of a template in force")
        console.app.templates.put(wanted, author=visit.author)
    except RequestError as error:
        return _template_form(visit, form, new=new, error=error)
    return moved("templates", said="saved")


@router.post("/templates/remove")
def remove_template(visit: Editor, console: Here) -> Response:
    """Take a template out of force."""
    console.app.templates.remove(visit.form.get("key", ""), author=visit.author)
    return moved("templates", said="removed")


@router.post("/templates/preview")
def preview(visit: Viewer) -> Response:
    """What a template makes of some data, as a document for a frame of an origin of its own."""
    try:
        data = json.loads(visit.form.get("data") or "{}")
    except ValueError as error:
        return foreign(document(Rendered("Data", f"is no JSON: {error}", None)))
    if not isinstance(data, dict):
        return foreign(document(Rendered("Data", "must be an object such as {}", None)))
    template = template_of(visit.form)
    renderer = Renderer()
    try:
        renderer.check(template)
        parts = renderer.render(template, data)
    except (RenderError, RequestError) as error:
        parts = Rendered("It cannot be rendered", str(error), None)
    return foreign(document(parts))


def _template_form(
    visit: Visit, fields: Mapping[str, str], *, new: bool, error: RequestError | None = None
) -> Response:
    status = 200 if error is None else 422
    return page(
        "template.html.j2",
        visit,
        status=status,
        area="templates",
        fields=fields,
        new=new,
        error=error,
        key="" if new else key_of(template_of(fields)),
    )
