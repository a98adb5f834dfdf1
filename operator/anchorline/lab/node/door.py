"""The node's door: connections that this machine makes on loopback go on to the API server inside the node.

`python -m anchorline.lab.node.door FD PORT`: FD listens in the machine's network, since it was opened there; what is
connected from here is in the node's network, since this process lives there.
"""

import asyncio
import contextlib
import socket
import sys

from anchorline.lab.ports import LOOPBACK

_CHUNK = 65536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def serve(listener: socket.socket, port: int) -> None:
    """Forward every connection, for as long as this process lives."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(LOOPBACK, port)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
            back.close()
        writer.close()

    server = await asyncio.start_server(forward, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
