"""The page in a real browser: it shows a run, is worked by keys, and nothing in a hostile run is executed.

Needs playwright and Chromium (pip install playwright; apt install chromium, or CHROMIUM=path).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hero.look.html import write_page
from hero.look.story import Source
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory, Turn, Verdict
from tests.look.made import write_run
from tests.played import episode

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; apt install chromium, or set CHROMIUM")

SOLVED = episode([("look", "a door"), ("pull", "open")], reward=1.0)
LOST = episode([("look", "a door"), ("push", "closed"), ("push", "closed")], start="the other room")
DIAGNOSIS = Diagnosis("rules", (Finding(0, Verdict.USEFUL), Finding(2, Verdict.FAILED, "it opens inwards", "pull")))
TOKENS = [
    ["pu", -0.1, -0.1, [["pu", -0.1]]],
    ["sh", -0.2, -6.0, [["ll", -0.01], ["sh", -6.0]]],
    [None, 0, 0, [[None, 0]]],
]
SCORES = {"training/2": {"turns": [{"turn": 2, "tokens": TOKENS, "would": "pull"}]}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """Opens a page; whatever it complains of, asks the network for or is asked is a failure."""
    contexts, problems = [], []

    def open_(file: Path, width: int = 1400, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on("request", lambda asked: problems.append(asked.url) if not asked.url.startswith("file:") else None)
        page.goto(file.as_uri())
        page.wait_for_function("document.documentElement.dataset.ready", timeout=20_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def run(tmp_path: Path) -> Path:
    played = [(1, SOLVED, Diagnosis("rules")), (1, LOST, DIAGNOSIS), (2, SOLVED, Diagnosis("rules"))]
    return write_run(tmp_path / "run", played, [(0, "sampled", LOST), (2, "greedy", SOLVED)])


@pytest.fixture
def file(run: Path, tmp_path: Path) -> Path:
    write_page(tmp_path / "page.html", [Source(run, SCORES)], max_episodes=100)
    return tmp_path / "page.html"


def test_it_opens_at_a_wrong_turn_and_tells_what_the_teacher_thinks_of_each_token(file: Path, opened: Any) -> None:
    page = opened(file)
    assert page.locator("#list tbody tr").count() == 5
    assert "training/2" in page.locator("#detail h3").first.inner_text()  # the first failure with a wrong turn
    page.keyboard.press("w")
    here = page.locator(".turn.here")
    assert here.get_attribute("data-turn") == "2"
    assert "✗ failed" in here.inner_text()
    assert "it opens inwards" in here.inner_text()
    token = here.locator(".token.less")
    assert token.inner_text() == "sh"
    token.hover()
    tip = page.locator("#tip").inner_text()
    assert "82 %" in tip and "0.2 %" in tip and "ll" in tip  # noqa: PT018
    assert "who knows better" in page.locator("#hint").inner_text()


def test_episodes_are_filtered_sorted_and_walked_through(file: Path, opened: Any) -> None:
    page = opened(file)
    rows = page.locator("#list tbody tr")
    page.select_option("select[name=result]", "✓ solved")
    assert rows.count() == 3
    page.select_option("select[name=split]", "validation")
    assert rows.count() == 1
    page.select_option("select[name=split]", "")
    page.select_option("select[name=result]", "")
    page.fill("input[name=text]", "INWARDS")
    assert rows.count() == 1
    page.fill("input[name=text]", "")
    page.select_option("select[name=verdict]", "failed")
    assert rows.count() == 1
    page.select_option("select[name=verdict]", "")
    page.locator("#list th button", has_text="wrong").click()
    page.locator("#list th button", has_text="wrong").click()
    assert [row.split()[-1] for row in rows.all_inner_texts()] == ["1", "0", "0", "0", "0"]
    page.locator("h1").click()
    page.keyboard.press("j")
    before = page.locator("#detail h3").first.inner_text()
    page.keyboard.press("j")
    after = page.locator("#detail h3").first.inner_text()
    page.keyboard.press("k")
    assert page.locator("#detail h3").first.inner_text() == before != after


def test_two_episodes_of_a_task_stand_side_by_side(run: Path, tmp_path: Path, opened: Any) -> None:
    other = write_run(tmp_path / "other", [(1, SOLVED, Diagnosis("rules"))])
    write_page(tmp_path / "two.html", [Source(run), Source(other)], max_episodes=100)
    page = opened(tmp_path / "two.html")
    label = next(text for text in page.locator("#detail select option").all_inner_texts() if text.startswith("other"))
    page.select_option("#detail select", label=label)
    assert page.locator("#detail article").count() == 2
    assert page.locator("#charts .chart").count() >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_it_fits_a_laptop_and_a_phone(file: Path, opened: Any, width: int, scheme: str) -> None:
    page = opened(file, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "</script ><img src=x onerror=alert(8)>",
    "<svg onload=alert(4)>",
    "<!--<script>",
    "]]>",
    "javascript:alert(5)",
    "{{ 7 * 7 }}",
    "\u202eright to left\u2066",
    "\ud800 half a pair",
    "\x00\x1b[31m\u2028",
    "&lt;b&gt; &amp;",
    "\"'`onmouseover=alert(6)",
)


def test_nothing_of_a_hostile_run_is_executed(tmp_path: Path, opened: Any) -> None:
    played = []
    for text in (*HOSTILE, "x" * 100_000):
        turns = (Turn((Message("system", text), Message("user", text)), Action(text), text, 0.0, text),)
        trajectory = Trajectory("webshop", text, 0, turns, Stop.ERROR, text)
        played.append((1, trajectory, Diagnosis(text or "x", (Finding(0, Verdict.FAILED, text, text),), problem=text)))
    settings = {"env": HOSTILE[0], "learner": HOSTILE[1], "reflector": HOSTILE[2]}
    run = write_run(tmp_path / "run <b>&\"' <img src=x onerror=alert(7)>", played, settings=settings)
    hostile = " ".join(HOSTILE)
    scores = {
        f"training/{number}": {"turns": [{"turn": 0, "tokens": [[hostile, -1, -3, [[hostile, -1]]]], "would": hostile}]}
        for number in range(1, len(HOSTILE) + 1)
    }
    write_page(tmp_path / "page.html", [Source(run, scores)], max_episodes=100)
    page = opened(tmp_path / "page.html")
    for _ in played:
        page.locator(".token").first.hover() if page.locator(".token").count() else None
        page.keyboard.press("j")
    page.wait_for_timeout(200)
    assert page.locator("#detail img, #detail svg, #list img, #list svg, script").count() == 3  # those of the page
    assert page.locator("h1").inner_text() == run.name
    assert page.locator("#list tbody tr").count() == len(played)
