"""A web server on loopback that answers every path with one of a folder's files.

The last number of a path chooses the file, so that many addresses need few files. One thread answers
from memory, so that little of the machine is lost to the programs that fetch.
"""

import asyncio
import pathlib
import re
import threading


class Server(asyncio.Protocol):
    def __init__(self, answers):
        self.answers, self.received = answers, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            request, self.received = self.received[:end], self.received[end + 4:]
            path = request.split(b" ", 2)[1]
            number = int((re.findall(rb"\d+", path) or [b"0"])[-1])
            self.transport.write(self.answers[number % len(self.answers)])
            if b"connection: close" in request.lower():
                self.transport.close()


def serve(folder):
    """Serves the folder's files from a thread until this process ends; returns the port."""
    bodies = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]
    header = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    answers = [header % len(body) + body for body in bodies]
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        loop.create_server(lambda: Server(answers), "127.0.0.1", 0, backlog=1024))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return server.sockets[0].getsockname()[1]
