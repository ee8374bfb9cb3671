"""A small threaded HTTP/1.1 server that shows its services the request exactly as it came.

http.server folds and reorders what it parses; SigV4 and the tests of "what does rolegate send
upstream" need the raw target and the headers in their order, so this is a socket loop of its own.
One thread serves one connection: the fake has to hold many slow calls, not to be fast.

A service is an object with
    handle(request) -> Response, or None to close the connection without an answer
    now()           -> the clock for the Date header, seconds since the epoch
    refuses()       -> True to close connections as soon as they are accepted
    expect_continue -> whether "Expect: 100-continue" is answered with 100
"""

import contextlib
import email.utils
import errno
import functools
import http.client
import os
import re
import select
import socket
import ssl
import threading
import time

BACKLOG = 1024
MAX_HEAD = 64 * 1024
MAX_BODY = 10_000_000  # STS itself answers 413 one byte above this
IDLE_TIMEOUT_S = 60.0

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


class BadRequest(Exception):
    """The bytes on the connection are not an HTTP/1.x request."""


class Request:
    """One request. `headers` is a list of (name, value) in wire order, names in wire case.

    A bad request has `malformed` set to the reason; if not even its head could be parsed,
    `target` holds the first bytes of what came. Services record these too.
    """

    def __init__(self, method, target, version, headers, peer, sock):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.peer = peer
        self.body = b""
        self.malformed = None
        self.body_unread = False  # then no other request can follow on the connection
        self._sock = sock

    def values(self, name):
        name = name.lower()
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name):
        values = self.values(name)
        return values[0] if values else None

    @property
    def path_and_query(self):
        """The target in origin form, still encoded, as (path, query)."""
        target = self.target
        if "://" in target.split("?", 1)[0]:  # absolute-form
            rest = target.split("://", 1)[1]
            cut = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
            target = rest[cut:]
        path, _, query = target.partition("?")
        return path or "/", query

    def set_hop_limit(self, hops):
        """How far the answer's packets travel."""
        if self._sock.family == socket.AF_INET6:
            self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        else:
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)

    def peer_gone(self):
        """True once the client has closed or half-closed its side."""
        poll = select.poll()
        poll.register(self._sock, select.POLLRDHUP)
        return bool(poll.poll(0))


class Response:
    """An answer. `cut_after` sends that many bytes of the body, then cuts the connection."""

    def __init__(self, status, body=b"", headers=(), *, close=False, cut_after=None):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = list(headers)
        self.close = close
        self.cut_after = cut_after


class Listener:
    """One listening socket: `("inet", host, port)` or `("unix", path)`.

    It can be taken down and brought up again on the same port, so that "the service is
    down" means what it means in life: connection refused.
    """

    def __init__(self, address, service, *, tls=None, keep_alive=True):
        self._address = address
        self._service = service
        self._tls = tls
        self._keep_alive = keep_alive
        self._lock = threading.Lock()
        self._socket = None
        self._thread = None
        self._connections = set()
        self.accepted = 0

    @property
    def address(self):
        """HOST:PORT (or the path), with the port really bound."""
        if self._address[0] == "unix":
            return self._address[1]
        _, host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def set_up(self, wanted):
        """Listens if `wanted`, else stops listening and cuts the open connections."""
        with self._lock:
            if wanted and self._socket is None:
                self._open()
            elif not wanted and self._socket is not None:
                self._close()

    def _open(self):
        if self._address[0] == "unix":
            path = self._address[1]
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(path)
        else:
            _, host, port = self._address
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            self._address = ("inet", host, sock.getsockname()[1])
        sock.listen(BACKLOG)
        self._socket = sock
        self._thread = threading.Thread(target=self._accept, args=(sock,), daemon=True)
        self._thread.start()

    def _close(self):
        # shutdown() is what wakes a thread that sits in accept(); close() alone does not.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self._socket = None
        if self._address[0] == "unix":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._address[1])
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening):
        while True:
            try:
                connection, peer = listening.accept()
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.EBADF):  # taken down by _close()
                    return
                time.sleep(0.05)  # out of descriptors, or a client gone already
                continue
            self.accepted += 1
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection, peer):
        sock = connection
        try:
            if self._service.refuses():
                return
            sock.settimeout(IDLE_TIMEOUT_S)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                # wrap_socket() detaches the plain socket, so the set has to follow.
                sock = self._tls.wrap_socket(connection, server_side=True,
                                             do_handshake_on_connect=False)
                self._connections.add(sock)
                sock.do_handshake()
            stream = _Stream(sock, _peer_name(peer))
            while self._exchange(stream):
                pass
        except (OSError, ssl.SSLError, EOFError):
            pass  # the client went away: nothing to answer
        finally:
            self._connections.discard(connection)
            self._connections.discard(sock)
            sock.close()

    def _exchange(self, stream):
        """Serves one request; returns whether the connection may carry another."""
        try:
            request = stream.read_head()
        except BadRequest as error:
            request = stream.malformed(str(error))
        if request is None:
            return False
        if request.header("expect") is not None and not self._service.expect_continue:
            request.body_unread = True
        elif not request.malformed:
            try:
                stream.read_body(request)
            except BadRequest as error:
                request.malformed = str(error)
        response = self._service.handle(request)
        if response is None:
            return False
        keep = self._keep_alive and not response.close and _wants_keep_alive(request)
        stream.write(request, response, keep, self._service.now())
        return keep and response.cut_after is None


class _Stream:
    """The bytes of one connection."""

    def __init__(self, sock, peer):
        self._sock = sock
        self._peer = peer
        self._buffer = b""

    def _fill(self):
        data = self._sock.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data

    def _take(self, count):
        while len(self._buffer) < count:
            self._fill()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _take_line(self, limit=MAX_HEAD):
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > limit:
                raise BadRequest("line too long")
            self._fill()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def read_head(self):
        """The request line and headers, or None if the client closed between requests."""
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest("request head too long")
            try:
                self._fill()
            except (EOFError, TimeoutError):
                if self._buffer.strip(b"\r\n"):
                    raise BadRequest("connection closed inside the request head") from None
                return None
        head, _, rest = self._buffer.lstrip(b"\r\n").partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not _TOKEN.match(parts[0]) or not parts[1]:
            raise BadRequest("request line")
        if parts[2] not in ("HTTP/1.0", "HTTP/1.1"):
            raise BadRequest("HTTP version")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not _TOKEN.match(name):
                raise BadRequest("header line")
            headers.append((name, value.strip(" \t")))
        self._buffer = rest
        return Request(parts[0], parts[1], parts[2], headers, self._peer, self._sock)

    def read_body(self, request):
        lengths = set(request.values("content-length"))
        codings = request.values("transfer-encoding")
        if (lengths and codings) or len(lengths) > 1:
            raise BadRequest("conflicting body lengths")
        if not lengths and not codings:
            return
        if lengths and not re.fullmatch(r"\d{1,12}", next(iter(lengths))):
            raise BadRequest("Content-Length")
        if codings and [c.lower() for c in codings] != ["chunked"]:
            raise BadRequest("Transfer-Encoding")
        length = int(next(iter(lengths))) if lengths else 0
        if length > MAX_BODY:
            raise BadRequest("body too long")
        if (request.header("expect") or "").lower() == "100-continue":
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = self._read_chunks() if codings else self._take(length)

    def _read_chunks(self):
        body = b""
        while True:
            size = self._take_line().split(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
                raise BadRequest("chunk size")
            count = int(size, 16)
            if count == 0:
                while self._take_line():
                    pass  # trailers
                return body
            body += self._take(count)
            if len(body) > MAX_BODY or self._take(2) != b"\r\n":
                raise BadRequest("chunk")

    def malformed(self, reason):
        seen = self._buffer[:500].decode("latin-1")
        self._buffer = b""
        request = Request("", seen, "HTTP/1.1", [], self._peer, self._sock)
        request.malformed = reason
        return request

    def write(self, request, response, keep, now):
        reason = http.client.responses.get(response.status, "Unknown")
        lines = [f"HTTP/1.1 {response.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        lines.append(f"Content-Length: {len(response.body)}")
        lines.append(f"Date: {_http_date(int(now))}")
        lines.append("Connection: " + ("keep-alive" if keep else "close"))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        body = b"" if request.method == "HEAD" else response.body[:response.cut_after]
        self._sock.sendall(head + body)


@functools.lru_cache(maxsize=16)
def _http_date(second):
    return email.utils.formatdate(second, usegmt=True)


def _wants_keep_alive(request):
    if request.malformed or request.body_unread:
        return False
    options = ",".join(request.values("connection")).lower().replace(" ", "").split(",")
    if "close" in options:
        return False
    return request.version == "HTTP/1.1" or "keep-alive" in options


def _peer_name(peer):
    if not isinstance(peer, tuple):
        return "unix"
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
