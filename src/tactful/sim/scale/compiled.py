"""Functions compiled by Numba, and what was compiled kept on disk.

Compiling takes half a minute, once. Numba keeps a compiled function until the file that holds it
changes; it does not look at the files of the functions that it calls. So only entries are kept,
and each holds a checksum of all sources of this package: with another one it is another function.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit
from numba.extending import intrinsic

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])


def _stamp() -> int:
    """A checksum of the sources of this package."""
    found = 0
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found = zlib.crc32(file.read_bytes(), found)
    return found


STAMP: Final = _stamp()


def compiled(function: F) -> F:
    """A function that only compiled ones may call, each of which takes it in whole."""
    options: Any = {"forceinline": True, "no_cpython_wrapper": True}
    return cast(F, njit(nogil=True, error_model="numpy", **options)(function))


def kept(entry: Callable[[int], F]) -> F:
    """A function that may be called from outside, made by `entry` with the stamp that it holds.

    It is kept beside the sources or in the user's cache; if neither can be written to, not at all.
    """
    function = entry(STAMP)
    try:
        return cast(F, njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:
        return cast(F, njit(nogil=True, error_model="numpy")(function))


def _lent(typing: Any, array: Any) -> Any:
    def written(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, values[0])
        found.meminfo = found.meminfo.type(None)
        return found._getvalue()

    return array(array), written


lent: Final = cast(Callable[[A], A], intrinsic(_lent))
"""The same array, whose owner keeps it alive: nobody counts references to it.

Counting is atomic, and took nine tenths of the time.
"""
