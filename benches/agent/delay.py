"""A long way to the engine: a proxy for TCP that lets everything through, later.

In: where to connect to, and how long what is asked and what is answered take together. Out: the port to connect to
instead. It understands nothing of what passes.
"""

import asyncio
import contextlib
import threading


class Proxy:
    """Listens on a free port of loopback until it is closed, on a thread of its own."""

    def __init__(self, host: str, port: int, seconds: float):
        self.target, self.each_way = (host, port), seconds / 2
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="delay", daemon=True)
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(self.listen(), self.loop).result()
        self.port = self.server.sockets[0].getsockname()[1]

    async def listen(self):
        return await asyncio.start_server(self.join, "127.0.0.1", 0)

    async def join(self, reader, writer):
        """Joins a client to the target."""
        there, here = await asyncio.open_connection(*self.target)
        try:
            await asyncio.gather(self.pass_on(reader, here), self.pass_on(there, writer))
        finally:
            here.close()
            writer.close()

    async def pass_on(self, reader, writer):
        """Writes what is read after the delay, without waiting for it to be written before reading on."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                self.loop.call_later(self.each_way, self.write, writer, data)
        # What was read last is written before this, and nothing comes after it.
        await asyncio.sleep(self.each_way)
        with contextlib.suppress(OSError):
            writer.write_eof()

    @staticmethod
    def write(writer, data: bytes):
        if not writer.is_closing():
            writer.write(data)

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def end(self):
        """Takes nobody in any more, and leaves those who are there."""
        self.server.close()
        joined = asyncio.all_tasks() - {asyncio.current_task()}
        for task in joined:
            task.cancel()
        await asyncio.gather(*joined, return_exceptions=True)
