"""Clients of the service, for programs that do not embed the engine.

`blocking` has `Client` on the standard library alone, `asynchronous` has `AsyncClient` on aiohttp,
`django` an e-mail backend. What they ask and how they read answers is in `calls`, once for both.

Nothing of the engine is imported here but its errors, so that a client starts quickly and needs
none of what the engine needs.
"""
