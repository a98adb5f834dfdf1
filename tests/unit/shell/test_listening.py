"""A port that somebody else has is said in one sentence."""

import asyncio
import socket

import pytest
from aiohttp import web

from anchorline.errors import NotReady
from anchorline.shell.listening import bound, listen


def test_a_port_that_is_taken_is_named_with_the_flag_that_chooses_another() -> None:
    async def story(port: int) -> None:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        try:
            await listen(web.TCPSite(runner, "127.0.0.1", port), "127.0.0.1", port, "--health-port")
        finally:
            await runner.cleanup()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotReady, match=rf"127.0.0.1:{port}: Address already in use; .* --health-port$"):
            asyncio.run(story(port))
        with pytest.raises(NotReady, match=rf"127.0.0.1:{port}: Address already in use; .* --port$"):
            bound("127.0.0.1", port, "--port")
