"""All resources of the API, in the order in which paths are tried: fixed words before names."""

from __future__ import annotations

from typing import Final

from tactful.http import (
    deliveries,
    keys,
    notifications,
    overview,
    recipients,
    rules,
    simulations,
    suppressions,
    templates,
    trials,
    types,
)

ROUTERS: Final = (
    notifications.bulk,
    notifications.router,
    deliveries.router,
    recipients.bulk,
    recipients.router,
    suppressions.router,
    types.router,
    templates.router,
    trials.router,
    rules.router,
    simulations.router,
    keys.router,
    overview.router,
)
