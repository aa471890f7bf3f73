"""Import every module that a user gets; run by `make smoke` beside an installed package.

`tactful.testing` is left out: it is for test suites and may ask for their tools. So is what needs
an extra: it is looked up when somebody asks for it.
"""

import importlib
import pkgutil
from pathlib import Path

import tactful

LEFT_OUT = (
    "tactful.testing.",
    "tactful.brokers.nats",
    "tactful.brokers.rabbitmq",
    "tactful.brokers.valkey",
    "tactful.client.asynchronous",
    "tactful.client.django",
    "tactful.frontdoors.",
    "tactful.http.",
    "tactful.inbound.",
    "tactful.ledgers.",
    "tactful.sim.scale.",
    "tactful.stores.postgres.",
    "tactful.telemetry.tracing",
)
names = [
    module.name
    for module in pkgutil.walk_packages(tactful.__path__, "tactful.")
    if not module.name.startswith(LEFT_OUT) and not module.name.endswith(".__main__")
]
for name in names:
    importlib.import_module(name)
installed = Path(tactful.__file__).parent
assert (installed / "py.typed").exists(), "the wheel must say that it is typed"
assert "site-packages" in installed.parts, f"imported the sources instead: {installed}"
print(f"imported {len(names)} modules of tactful {tactful.__version__}")
