"""PRO-4, LIM-11 and CON-2: as many processes as you like, exactly as many as allowed."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tactful import Rule, Tactful

PROGRAM = Path(__file__).with_name("crowd_process.py")
PROCESSES, THREADS = 4, 8


def crowd(url: str, people: list[str]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """All threads of all processes send to each of the people at once.

    Gives how often each person was answered what, and how many messages each was sent.
    """
    command = [sys.executable, str(PROGRAM), url, str(THREADS)]
    crowd = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]

    def hear(word: str) -> None:
        for process in crowd:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{word}\n"

    hear("ready")
    for who in people:
        for process in crowd:
            assert process.stdin is not None
            process.stdin.write(f"{who}\n")
            process.stdin.flush()
        hear("done")
    told = [json.loads(process.communicate(timeout=120)[0]) for process in crowd]
    answers = Counter((to, decision) for one in told for to, decision in one["answers"])
    return answers, Counter(to for one in told for to in one["sent"])


def give_one_in_every_round(lasting_url: str, on_limit: str, rounds: int) -> None:
    with_rules = Tactful(lasting_url)
    with_rules.rules.put(Rule("news", types=["news"], limit="1/day", on_limit=on_limit))
    with_rules.close()
    people = [f"user{number}" for number in range(rounds)]

    answers, sent = crowd(lasting_url, people)

    assert sent == dict.fromkeys(people, 1)
    assert answers == {(who, "send"): 1 for who in people} | {
        (who, on_limit): PROCESSES * THREADS - 1 for who in people
    }


@pytest.mark.parametrize("on_limit", ["reject", "defer"])
def test_pro_4_lim_11_and_con_2_processes_that_share_a_store_give_one_in_every_round(
    lasting_url: str, on_limit: str
) -> None:
    give_one_in_every_round(lasting_url, on_limit, 25)


@pytest.mark.soak
@pytest.mark.parametrize("on_limit", ["reject", "defer"])
def test_pro_4_lim_11_and_con_2_so_they_do_in_a_hundred_of_a_hundred_rounds(
    used_store_url: str, on_limit: str
) -> None:
    give_one_in_every_round(used_store_url, on_limit, 100)
