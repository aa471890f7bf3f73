"""Properties that are tried on some examples in each run, and on many in the long one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

Test = Callable[..., Any]

CHECKED = settings(deadline=None, print_blob=True)


def often(test: Any, examples: Callable[[Test], Test], count: int) -> Test:
    """A test for `make soak`: what `test` says, on `count` examples.

    What it finds is kept where `test` tries it first, from the next run on.
    """
    longer = settings(CHECKED, max_examples=count)(examples(test.hypothesis.inner_test))
    return pytest.mark.soak(pytest.mark.timeout(3_600)(longer))
