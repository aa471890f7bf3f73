"""Names in paths and queries: what they may look like, before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from fastapi import Path, Query

ID_PATTERN: Final = r"^[0-9A-Za-z_-]{1,64}$"
CURSOR_PATTERN: Final = r"^[0-9A-Za-z_-]{0,64}$"
NUMBER_MAX: Final = 2**62

IdPath: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN, description="An id as it was given.")]
IdQuery: TypeAlias = Annotated[str | None, Query(pattern=ID_PATTERN)]
NamePath: TypeAlias = Annotated[str, Path(min_length=1, max_length=100)]
NameQuery: TypeAlias = Annotated[str | None, Query(min_length=1, max_length=100)]
WhoPath: TypeAlias = Annotated[
    str, Path(min_length=1, max_length=320, description="The id or an address of a recipient.")
]
WhoQuery: TypeAlias = Annotated[
    str | None,
    Query(min_length=1, max_length=320, description="The id or an address of a recipient."),
]
VersionPath: TypeAlias = Annotated[int, Path(ge=1, le=NUMBER_MAX)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After: TypeAlias = Annotated[
    str, Query(pattern=CURSOR_PATTERN, description="`next` of the page before.")
]
AfterNumber: TypeAlias = Annotated[
    int, Query(ge=0, le=NUMBER_MAX, description="`next` of the page before.")
]
