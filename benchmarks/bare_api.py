"""What a submission costs without any engine: a FastAPI route that does one INSERT.

python -m benchmarks.bare_api URL PORT
"""

from __future__ import annotations

import queue
import sys

import psycopg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

CONNECTIONS = 16
TABLE = "CREATE TABLE notifications (id BIGSERIAL PRIMARY KEY, type TEXT, person TEXT, body TEXT)"
INSERT = "INSERT INTO notifications (type, person, body) VALUES (%s, %s, %s) RETURNING id"


class Notification(BaseModel):
    type: str
    to: str
    subject: str
    text: str


def main(url: str, port: int) -> None:
    free: queue.SimpleQueue[psycopg.Connection] = queue.SimpleQueue()
    for number in range(CONNECTIONS):
        connection = psycopg.connect(url, autocommit=True)
        if not number:
            connection.execute(TABLE)
        free.put(connection)
    api = FastAPI()

    @api.post("/notifications", status_code=202)
    def submit(body: Notification) -> dict[str, int]:
        connection = free.get()
        try:
            row = connection.execute(INSERT, (body.type, body.to, body.text)).fetchone()
        finally:
            free.put(connection)
        assert row is not None
        return {"id": row[0]}

    uvicorn.run(api, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
