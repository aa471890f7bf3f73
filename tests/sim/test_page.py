"""The report of a run, read as text and as the elements that it is made of."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from mixed_figures import HOSTILE, figures_of, hostile, mixed

from tactful.sim.figures import Figures
from tactful.sim.page import MESSAGES_SHOWN, TIMELINE_SHOWN, page
from tactful.sim.plots import outcomes_of

EMPTY = {
    "nobody at all": "[population]\ncount = 0",
    "no traffic": "[population]\ncount = 3",
    "nobody, but traffic": '[population]\ncount = 0\n[[traffic]]\nkind="broadcast"\ntype="a"',
    "all lost": (
        '[population]\ncount = 9\n[[traffic]]\nkind="broadcast"\ntype="a"\n'
        "[channels.inbox]\nloss = 1.0"
    ),
    "all refused": (
        '[population]\ncount = 9\n[[traffic]]\nkind="broadcast"\ntype="a"\n'
        '[rules.none]\nlimit="0/day"\non_limit="reject"'
    ),
    "all waiting": (
        '[population]\ncount=2\n[[traffic]]\nkind="broadcast"\ntype="a"\n[rules.none]\nlimit="0/day"'
    ),
}
VOID = {"meta", "img", "br", "link", "input"}


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the text of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def cells(html: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    table = html.partition(f"<h2>{heading}</h2>")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_the_page_shows_the_figures_of_each_type_and_of_all() -> None:
    found = mixed()
    head, *rows = cells(page(found), "By type")

    assert [row[0] for row in rows] == [*found.types, "all"]
    for row, tally in zip(rows, [*found.types.values(), found.total], strict=True):
        shown = dict(zip(head, row, strict=True))
        for name in ("submitted", "sent", "received", "lost", "opened", "deferred", "digested"):
            assert shown[name] == f"{getattr(tally, name):,}", name
        assert shown["of received"] == f"{100 * (tally.opened_ratio or 0):.1f} %"


def test_what_never_occurred_takes_no_column() -> None:
    head = cells(page(mixed()), "By type")[0]

    assert mixed().total.expired == 0
    assert "expired" not in head
    assert "rejected" in head


def test_a_long_list_of_messages_is_cut_and_the_rest_counted() -> None:
    html = page(mixed())

    assert len(mixed().messages) > MESSAGES_SHOWN
    assert len(cells(html, "Messages to everybody")) == 1 + MESSAGES_SHOWN
    assert f"and {len(mixed().messages) - MESSAGES_SHOWN} more" in html


def test_a_long_timeline_is_cut_in_its_table_but_not_in_its_plot() -> None:
    hit = mixed().worst[0]
    long = replace(hit, timeline=hit.timeline * (1 + TIMELINE_SHOWN // len(hit.timeline)))
    html = page(replace(mixed(), worst=[long]))

    assert f"and {len(long.timeline) - TIMELINE_SHOWN} more" in html
    lanes = html.partition('class="plot lanes"')[2].partition("</svg>")[0]
    assert lanes.count("<circle") == len(long.timeline)


def test_the_outcomes_of_a_run_are_all_that_was_submitted() -> None:
    for tally in (mixed().total, *mixed().types.values()):
        assert sum(number for _, number in outcomes_of(tally)) == tally.submitted


def test_the_page_names_seed_and_command_line() -> None:
    assert "seed 11" in page(mixed())
    assert '<pre tabindex="0">tactful simulate &#39;a b.toml&#39; --loss 0.2</pre>' in page(
        mixed(), "tactful simulate 'a b.toml' --loss 0.2"
    )


def test_the_same_scenario_gives_the_same_page() -> None:
    """Byte for byte, and with another seed another one."""
    scenario = 'seed = {}\n[population]\ncount = 50\n[[traffic]]\nkind="broadcast"\ntype="a"'
    one, again, other = (page(figures_of(scenario.format(seed))) for seed in (1, 1, 2))

    assert one == again
    assert one != other


def test_the_page_asks_for_nothing() -> None:
    """Neither an element nor the style sheet names anything to load."""
    html = page(mixed())
    elements = Elements(html)

    assert not [tag for tag in ("img", "link", "iframe", "object", "image", "use", "base", "form")
                if elements.all(tag)]  # fmt: skip
    for _, attributes in elements.found:
        assert attributes.keys().isdisjoint({"src", "href", "xlink:href", "style", "srcset"})
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_allows_the_page_its_own_style_and_script_only() -> None:
    elements = Elements(page(mixed()))
    policy = next(
        str(one["content"])
        for one in elements.all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    )

    def source(tag: str) -> str:
        text = "".join(elements.texts[tag]).encode()
        return f"{tag}-src 'sha256-{b64encode(sha256(text).digest()).decode()}'"

    assert policy == (
        f"default-src 'none'; {source('style')}; {source('script')}; "
        "base-uri 'none'; form-action 'none'"
    )
    assert elements.found.index(("meta", {"http-equiv": "Content-Security-Policy",
                                          "content": policy})) < 5  # fmt: skip


def test_markup_in_names_stays_text() -> None:
    """A scenario may be somebody else's: whatever it holds is shown as it is written."""
    plain, attacked = Elements(page(mixed())), Elements(page(hostile(), command=HOSTILE))

    for tag in ("script", "img", "style", "title", "pre", "svg", "b", "circle"):
        if tag != "title":
            assert len(attacked.all(tag)) == len(plain.all(tag)), tag
    assert "".join(attacked.texts["h1"]) == HOSTILE
    assert HOSTILE in "".join(attacked.texts["pre"])


def test_names_written_in_a_scenario_stay_text() -> None:
    """The same from the file to the page, through the rules for names."""
    found = figures_of(
        'name = "<script>1</script>"\n[population]\ncount = 2\n'
        '[[traffic]]\nkind="broadcast"\ntype="<b>a"\ntext="<i>{number}</i>"\n'
        '[rules."<u>"]\nlimit="0/day"\non_limit="reject"'
    )
    elements = Elements(page(found))

    assert not [tag for tag in ("u", "i", "b") if {} in elements.all(tag)[1:]]
    assert "<b>a" in elements.texts["th"]
    assert "<u>" in elements.texts["th"]
    assert "<i>1</i>" in elements.texts["td"]


@pytest.mark.parametrize("text", EMPTY.values(), ids=EMPTY)
def test_a_run_without_results_gives_a_page_that_says_so(text: str) -> None:
    found = figures_of(text)
    html = page(found)
    said = "".join(Elements(html).texts["p"])

    assert html.count('class="plot') >= 4
    assert not re.search(r"\b(nan|inf)\b", html)
    assert not re.search(r">\d*\.\d+<", html)  # an axis of counts has whole numbers
    if not found.people:
        assert "There was nobody" in said
    elif not found.total.submitted:
        assert "Nothing was submitted" in said
    elif not found.total.sent:
        assert "None was handed over" in said
    else:
        assert "0 arrived (0.0 %)" in said


def test_one_message_to_one_person_reads_like_a_sentence() -> None:
    found = figures_of('[population]\ncount = 1\n[[traffic]]\nkind="broadcast"\ntype="a"')

    assert "1 message was meant for 1 person in 1 ms." in page(found)


@pytest.mark.parametrize("most", [0, 1, 30, 400, 100_000])
def test_a_plot_stays_small_however_many_messages_a_person_gets(most: int) -> None:
    """Many columns and dots are put together, and none gets lost."""
    per_day = dict.fromkeys(range(most + 1)[:: max(1, most // 500)], 3)
    loads = {number: (4, 1) for number in per_day if number}
    html = page(_with(mixed(), per_day, loads))

    for title, whole in (("Messages per person", 3 * len(per_day)),
                         ("Opens against volume", 4 * len(loads))):  # fmt: skip
        plot = html.partition(f"<h2>{title}</h2>")[2].partition("</svg>")[0]
        says = re.findall(r"<title>(.*?)</title>", plot)[1:]
        counts = [
            int(re.sub(r"\D", "", re.findall(r"(?:: |of )([\d,]+)", one)[-1])) for one in says
        ]
        assert len(says) <= 25
        assert sum(counts) == whole


def _with(found: Figures, per_day: dict[int, int], loads: dict[int, tuple[int, int]]) -> Figures:
    return replace(found, per_day=per_day, opens_by_load=loads)
