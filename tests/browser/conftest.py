"""Pages in a real browser: Chromium as it is installed, through playwright, with nothing downloaded."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Tab:
    """A page with what it said and asked for. said: console messages and errors; asked: addresses other than files."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: Path, place: str = "") -> None:
        """Opens a file at a place in it, and waits until what belongs there is drawn."""
        self.page.goto("about:blank")
        self.page.goto(f"{path.resolve().as_uri()}{place}")
        if place.startswith("#/"):
            self.page.locator("#task h1").wait_for()
        else:
            self.page.locator("html[data-charts=drawn]").wait_for(state="attached", timeout=60_000)

    def value(self, expression: str) -> Any:
        """The value of a script expression, past the page's policy, which forbids evaluation to the page itself."""
        session = self.page.context.new_cdp_session(self.page)
        found = session.send("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        session.detach()
        return found["result"].get("value")


@pytest.fixture
def tab(chromium):
    """A tab of a desktop's width; the test fails if the page said anything or asked a network for anything."""
    yield from _tab(chromium, width=1280, height=900)


@pytest.fixture
def phone(chromium):
    """A tab of a phone's width, in dark colours."""
    yield from _tab(chromium, width=390, height=844, color_scheme="dark")


def _tab(chromium, width, height, **options):
    context = chromium.new_context(viewport={"width": width, "height": height}, **options)
    made = Tab(context.new_page())
    made.page.on("console", lambda message: made.said.append(f"{message.type}: {message.text}"))
    made.page.on("pageerror", lambda error: made.said.append(f"error: {error}"))
    made.page.on("request", lambda request: made.asked.append(request.url))
    yield made
    context.close()
    assert not made.said, made.said
    others = [url for url in made.asked if not url.startswith(("file:", "about:", "blob:", "data:"))]
    assert not others, others
