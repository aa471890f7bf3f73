"""`python -m tactful.http`: the description of the API, for `docs/openapi.json`."""

from __future__ import annotations

import json
import sys

from tactful.app import Tactful
from tactful.http.service import create_service

with Tactful("memory://") as app:
    json.dump(create_service(app).openapi(), sys.stdout, indent=1)
    sys.stdout.write("\n")
