"""How simulated people treat what they get.

Every draw is decided by the seed and by what it is about, never by the order in which things
happen: the same person treats the same message the same way in every run with that seed.
"""

from __future__ import annotations

import random

from tactful.sim.tables import ratio


class People:
    """Loses a part of what is sent, and opens a part of what arrives.

    `loss` is the part of copies that get lost. People have habits: two in a hundred and one never
    open anything; of the others, those whose number is divisible by three open everything, and the
    rest opens each message with the chance `open_chance`.
    """

    def __init__(self, seed: int, loss: float = 0.1, open_chance: float = 0.6) -> None:
        self._seed = seed
        self._loss = ratio(loss, "loss")
        self._open_chance = ratio(open_chance, "open_chance")

    def loses(self, person: str, message: str) -> bool:
        """Whether this copy is lost on its way."""
        return self._draw("loss", person, message).random() < self._loss

    def opens(self, person: str, message: str) -> bool:
        """Whether the person opens this message, once it has arrived."""
        number = self._draw("habit", person).randint(0, 100)
        if number in (0, 100):
            return False
        if number % 3 == 0:
            return True
        return self._draw("open", person, message).random() < self._open_chance

    def _draw(self, *about: str) -> random.Random:
        return random.Random("|".join((str(self._seed), *about)))  # noqa: S311 - a simulation
