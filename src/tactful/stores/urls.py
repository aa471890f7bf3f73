"""URLs of stores as they may be shown: a password in one is nobody's business."""

from __future__ import annotations

import re
from typing import Final

# To the last @, since a password may hold one that should have been written as %40.
_USER: Final = re.compile(r"(//[^/@:?#]*):.*@", re.DOTALL)
_OPTION: Final = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """The URL with `***` in place of each password, whatever else may be wrong with it."""
    return _OPTION.sub(r"\1***", _USER.sub(r"\1:***@", url))
