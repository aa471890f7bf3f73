"""Who asks: the key of a request, checked against those in force.

A key that was revoked, in any process, opens nothing a second later: the keys are read anew when
the store's policies have moved, which is looked at when the last look is `STALE_MS` old. That a key
is used is noted in passing (`http.uses`).
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tactful.app import Tactful
from tactful.core.model import Millis
from tactful.engine.keys import KEY, SCOPES, ApiKey, digest, key_from
from tactful.http.problems import Problem
from tactful.http.throttle import Throttle
from tactful.http.uses import Uses
from tactful.runtime.clock import running

STALE_MS: Final[Millis] = 500
BEARER: Final = HTTPBearer(auto_error=False, description="A key, `tk_live_...` or `tk_test_...`.")


class Keyring:
    """The keys in force; `clock` gives milliseconds that only run, for the age of what is known."""

    def __init__(self, app: Tactful, clock: Callable[[], Millis] = running) -> None:
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: Millis | None = None
        self._epoch = -1
        self._keys: dict[str, tuple[ApiKey, Millis | None]] = {}
        self._uses = Uses(app.keys.note_use, clock)

    def holder(self, token: str) -> ApiKey | None:
        """The key that this text opens, if it opens one now; raises Unavailable."""
        wanted = digest(token)
        if wanted is None:
            return None
        found = self._known().get(wanted)
        if found is None:
            return None
        key, expires_at = found
        if expires_at is not None and self._app.clock.now() >= expires_at:
            return None
        # The table is found by a digest that nobody can choose; this costs nothing all the same.
        same = any(hmac.compare_digest(secret.digest, wanted) for secret in key.secrets)
        if not same:
            return None
        self._uses.note(key.name)
        return key

    def is_fresh(self) -> bool:
        """Whether an answer needs no look into the store."""
        return self._looked_at is not None and self._clock() - self._looked_at < STALE_MS

    def close(self) -> None:
        """Have what was noted written; nobody may ask any more."""
        self._uses.close()

    def _known(self) -> dict[str, tuple[ApiKey, Millis | None]]:
        with self._lock:
            if self.is_fresh():
                return self._keys
            now = self._clock()
            with self._app.store.reading() as reader:
                epoch = reader.epoch()
                if epoch != self._epoch:
                    keys = [key_from(policy.body or {}) for policy in reader.policies(KEY)]
                    self._keys = {s.digest: (k, s.expires_at) for k in keys for s in k.secrets}
                    self._epoch = epoch
            self._looked_at = now
            return self._keys


class Access:
    """A dependency of routes: the holder of a key with a scope.

    `live_only` keeps out keys for tests, whatever they may do in their own world.
    """

    def __init__(self, scope: str, *, live_only: bool = False) -> None:
        assert scope in SCOPES
        self.scope = scope
        self.live_only = live_only

    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
    ) -> ApiKey:
        """See `admit`; the credentials are an argument for the sake of the API's description."""
        return await self.admit(request)

    async def admit(self, request: Request) -> ApiKey:
        """The key of the request, looked at and counted once.

        Raises Problem: 401 without a key in force, 429 for too many requests, 403 for another
        scope; and Unavailable.
        """
        key: ApiKey | None = getattr(request.state, "key", None)
        if key is None:
            key = await self._known(request)
            throttle: Throttle = request.app.state.throttle
            allowance = throttle.take(key.name)
            request.state.headers = allowance.headers()
            if allowance.retry_ms:
                raise Problem(429, "too_many_requests", f"the key {key.name} asks too often")
            request.state.key = key
        if not key.allows(self.scope):
            raise Problem(403, "forbidden", f"the key {key.name} has no scope {self.scope}")
        if self.live_only and key.is_test:
            raise Problem(403, "forbidden", f"the key {key.name} is for tests; this is live only")
        return key

    @staticmethod
    async def _known(request: Request) -> ApiKey:
        given = await BEARER(request)
        token = given.credentials if given is not None else ""
        keyring: Keyring = request.app.state.keyring
        # To look into the store takes a while, and now and then has to be done.
        ask = keyring.holder
        key = ask(token) if keyring.is_fresh() else await run_in_threadpool(ask, token)
        if key is None:
            headers = {"WWW-Authenticate": "Bearer"}
            detail = "send a key in force as `Authorization: Bearer tk_...`"
            raise Problem(401, "unauthorized", detail, headers=headers)
        return key


Viewer: TypeAlias = Annotated[ApiKey, Depends(Access("read"))]
Sender: TypeAlias = Annotated[ApiKey, Depends(Access("send"))]
Admin: TypeAlias = Annotated[ApiKey, Depends(Access("admin"))]
LiveViewer: TypeAlias = Annotated[ApiKey, Depends(Access("read", live_only=True))]
