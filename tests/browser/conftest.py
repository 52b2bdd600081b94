"""Headless Chromium, and the page of a record on disk. Screenshots go to pytest's temporary directory."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.projects import ROOT
from toolkit.record import ReleaseRecord
from toolkit.tables import FORMATS

CHROMIUM = "/usr/bin/chromium"
# Nothing is asked of the network by the browser itself; without a sandbox, as CI runs as root.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# Ended before other packages' tests: those of an interrupt end what the test run has started.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Brought by scripts/browser.sh where it is not there; that prints the line to run when it may not."""
    subprocess.run([ROOT / "scripts" / "browser.sh"], check=True)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(ARGUMENTS))
        yield running
        running.close()


class Opened:
    """A page that was opened from a file; what it logged, threw or asked the network for is kept."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.file = page, file
        self.trouble: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.trouble.append(message.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(file.as_uri())

    def shown(self) -> list[str]:
        """The URIs of the rows that are seen, from above."""
        found = self.page.locator("tbody:visible .uri").evaluate_all("each => each.map(one => one.title)")
        return [str(uri) for uri in found]

    def count(self) -> str:
        return self.page.locator("#count").inner_text()

    def address(self) -> str:
        return self.page.url.partition("#")[2]


class Opener:
    """Opens the page of a record: `opener(record, width=390, dark=True)`."""

    def __init__(self, browser: Browser, directory: Path) -> None:
        self._browser, self._directory = browser, directory
        self._contexts = 0

    def __call__(
        self, record: ReleaseRecord, *, width: int = 1360, height: int = 900, dark: bool = False
    ) -> Opened:
        file = self._directory / "uris.html"
        file.write_text(FORMATS["html"].write(record), encoding="utf-8")
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        return Opened(context.new_page(), file)


@pytest.fixture
def opener(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    yield Opener(browser, tmp_path)
    for context in browser.contexts:
        context.close()
