"""A throwaway rolegated: answers the control API on a Unix socket with whatever a test wants.

A handler gets a Request and returns the bytes to send, or an iterable of them (sent one by one), or
None (close without a word). Nothing here checks the client beyond parsing its request.
"""

import json
import os
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    def json(self):
        return json.loads(self.body)


def reply(status, body=b"", headers=()):
    """A complete HTTP reply with a Content-Length."""
    if not isinstance(body, (bytes, bytearray)):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(status, chunks):
    """A chunked reply."""
    yield f"HTTP/1.1 {status} OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for chunk in chunks:
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    yield b"0\r\n\r\n"


def error(status, code, message, field_name=None):
    return reply(status, {"error": {"code": code, "message": message, "field": field_name}})


class FakeControl:
    def __init__(self, path, handler):
        self.path = str(path)
        self.handler = handler
        self.requests = []
        self.release = threading.Event()  # a handler may wait for it; close() sets it
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _read_request(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        first, *rest = head.decode().split("\r\n")
        method, path, version = first.split(" ")
        assert version == "HTTP/1.1"
        headers = {}
        for line in rest:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers
            headers[name.lower()] = value
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Request(method, path, headers, body)

    def _serve(self, connection):
        with connection:
            request = self._read_request(connection)
            if request is None:
                return
            self.requests.append(request)
            answer = self.handler(request)
            pieces = [answer] if isinstance(answer, (bytes, bytearray)) else answer or []
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except OSError:
                pass  # the client has had enough

    def close(self):
        self.release.set()
        # close() alone leaves the thread in accept(), at a number that soon is another socket's.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
