"""A process that starts a server, says where it is, and waits for its own end."""

from __future__ import annotations

import json
import sys

from server_cases import CASES

with CASES[sys.argv[1]].make() as server:
    print(json.dumps([server.url(), server.pid, str(server.folder)]), flush=True)
    sys.stdin.read()
