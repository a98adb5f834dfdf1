"""Chromium in the node's network: opens a page, takes its picture (of a warning as well), and says what is on it.

As a program, `browser.py CHROMIUM HOME RULES URL PICTURE`, it is what runs in the node's namespaces.
"""

import asyncio
import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from anchorline.lab.node import Node

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=9222",
    "--window-size=900,600",
)
TEXT = "document.title + ' | ' + (document.body ? document.body.innerText.slice(0, 300) : '')"
SECONDS = 90


@dataclass
class Browser:
    """A browser with a home of its own, and a rule that stands for DNS."""

    node: Node
    program: str
    home: Path
    rules: str

    def picture(self, url: str, target: Path) -> str:
        """Open a page, keep its picture, and return its title and first words."""
        command = [sys.executable, __file__, self.program, str(self.home), self.rules, url, str(target)]
        source = os.pathsep.join(path for path in sys.path if path)
        done = self.node.run_inside(["env", f"PYTHONPATH={source}", f"HOME={self.home}", *command], timeout=SECONDS * 2)
        return done.stdout.strip()


class Page:
    """One tab, spoken to by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give one command and return its result."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._number:
                found: dict[str, Any] = answer.get("result", {})
                return found

    async def words(self) -> str:
        """Return what is on the page; empty while there is nothing."""
        answer = await self.ask("Runtime.evaluate", expression=TEXT, returnByValue=True)
        return str(answer.get("result", {}).get("value", ""))


async def tab(session: aiohttp.ClientSession) -> str:
    """Wait until the browser has a tab, and return where it is spoken to."""
    while True:
        try:
            async with session.get("http://127.0.0.1:9222/json") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
        except aiohttp.ClientError:
            pages = []
        if pages:
            return str(pages[0]["webSocketDebuggerUrl"])
        await asyncio.sleep(0.1)


async def look(program: str, home: str, rules: str, url: str, picture: str) -> str:
    """Start the browser, open the page, take the picture, end the browser."""
    profile = [f"--user-data-dir={home}/profile", f"--host-resolver-rules={rules}"]
    browser = await asyncio.create_subprocess_exec(
        program, *FLAGS, *profile, "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(await tab(session), max_msg_size=0) as socket:
            page = Page(socket)
            await page.ask("Page.navigate", url=url)
            while len(words := await page.words()) < len(" | ") + 10:  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.1)
            shot = await page.ask("Page.captureScreenshot", format="png")
            Path(picture).write_bytes(base64.b64decode(shot["data"]))  # noqa: ASYNC240 - one file, nobody waits
            return words
    finally:
        browser.kill()
        await browser.wait()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asyncio.wait_for(look(*sys.argv[1:]), SECONDS))))
