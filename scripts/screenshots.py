"""Takes the pictures of docs/run-directory.md: python scripts/screenshots.py PAGE.html docs/assets

PAGE.html is what `hero view` wrote of a scored run; needs playwright and Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SHOTS = (("page-light.png", 1400, 900, "light"), ("page-dark-phone.png", 400, 820, "dark"))


def main(page_file: str, folder: str) -> None:
    """Opens the page at a wrong turn on which student and teacher disagree, and takes it on a laptop and on a phone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width, height, scheme in SHOTS:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(Path(page_file).absolute().as_uri())
            page.wait_for_function("document.documentElement.dataset.ready")
            page.select_option("select[name=result]", "✗ not solved")
            page.select_option("select[name=verdict]", "failed")
            page.locator("#list tbody tr").nth(2).click()
            page.keyboard.press("w")
            token = page.locator(".turn.here .token.less")
            if token.count():
                token.first.hover()
            page.wait_for_timeout(300)
            page.screenshot(path=str(Path(folder) / name))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
