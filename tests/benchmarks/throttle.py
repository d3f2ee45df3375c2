"""A link like one to S3: each connection has its own bandwidth, and each exchange waits for a round trip.

    python -m tests.benchmarks.throttle TARGET_PORT MEGABYTES_PER_SECOND MILLISECONDS

Prints the port it listens on, on 127.0.0.1. Connections to S3 give 25 to 90 MB/s:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

CHUNK_BYTES = 64 * 1024
PAUSE_SECONDS = 0.05
"""What comes after it begins a new exchange."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float, wait: float) -> None:
    free = last = 0.0
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            if time.monotonic() - last > PAUSE_SECONDS:
                await asyncio.sleep(wait)
            free = max(free, time.monotonic()) + len(chunk) / rate
            await asyncio.sleep(max(0.0, free - time.monotonic() - 0.002))
            writer.write(chunk)
            await writer.drain()
            last = time.monotonic()
    writer.close()


async def serve(target: int, rate: float, round_trip: float) -> None:
    """Pass everything on to a port of this machine.

    :param rate: of each connection and direction, in bytes a second
    :param round_trip: in seconds
    """

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(
            _pump(reader, other_writer, rate, round_trip / 2),
            _pump(other_reader, writer, rate, round_trip / 2),
        )

    server = await asyncio.start_server(connect, "127.0.0.1", 0, limit=CHUNK_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    port, megabytes, milliseconds = map(float, sys.argv[1:])
    asyncio.run(serve(int(port), megabytes * 1e6, milliseconds / 1000))
