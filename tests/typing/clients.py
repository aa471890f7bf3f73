"""Clients as a program: checked by mypy; what is wrong has to be found by it."""

from __future__ import annotations

from tactful import AsyncClient, Client, errors
from tactful.client.shapes import Notification, Receipt


def tell(client: Client, people: list[str]) -> list[str]:
    """The ids of the deliveries that were stored."""
    items: list[Notification] = [{"type": "news", "to": person, "text": "Hi"} for person in people]
    results = client.send_each(items)
    client.send(type="news", to="ada@example.com", txt="Hi")  # type: ignore[call-arg]
    client.send(to="ada@example.com", text="Hi")  # type: ignore[call-arg]
    for result in results:
        if isinstance(result, errors.RequestError):
            print(result.field, result.bound)
    return [one.delivery_id or "" for one in results if isinstance(one, Receipt)]


async def ask(client: AsyncClient) -> int | None:
    """When the first that waits will go."""
    async for delivery in client.deliveries(state="deferred"):
        return (await client.why(delivery.id)).deliver_at
    return None
