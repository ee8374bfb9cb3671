"""What a row of the table is made of: what is sent, what is expected, and how both are shown.

    Row(3, PUT(TOKEN, ttl=0), 400)
    Row(27, by(remaining_ttl), is_("the second is less"), choice="…")

A request is sent to the container's metadata address, by IPv4 and by IPv6. A step (`by`) is a function of
the world for what takes more than one request; its first docstring line says what it sends.
"""

import dataclasses
import re
import socket
import time

from host import IMDS, SLOW

IPV6 = "fd00:ec2::254"
ADDRESSES = {"v4": IMDS, "v6": IPV6}
TOKEN_HEADER = "X-aws-ec2-metadata-token"
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"


@dataclasses.dataclass
class Answer:
    """One response as it came."""

    status: int
    headers: object
    body: bytes
    closed: bool = False
    seconds: float = 0.0

    def __str__(self):
        text = [str(self.status)]
        for name, short in ((TTL_HEADER, "TTL"), ("Allow", "Allow"), ("Retry-After", "Retry-After")):
            if self.headers.get(name) is not None:
                text.append(f"{short} {self.headers[name]}")
        if self.closed or (self.headers.get("Connection") or "").lower() == "close":
            text.append("closed")
        if self.body:
            body = self.body.decode(errors="backslashreplace")
            title = re.search(r"<title>(.*?)</title>", body)
            body = f"<{title.group(1)}>" if title else repr(re.sub(r"\s+", " ", body))
            text.append(f"{len(self.body)} bytes {body[:36]}{'…' if len(body) > 36 else ''}")
        return ", ".join(text)


class Nothing:
    """No answer: the connection was closed, refused or never made."""

    status = None
    body = b""
    headers = {}

    def __init__(self, how):
        self.how = how

    def __str__(self):
        return f"nothing ({self.how})"


# Requests


@dataclasses.dataclass
class Request:
    method: str
    path: str
    token: object = True  # True: a good one; None: none; or the text to send
    headers: dict = dataclasses.field(default_factory=dict)
    to: str = "c"  # the container that asks
    address: str = None  # None: the metadata address of the family that is run

    @property
    def families(self):
        return list(ADDRESSES) if self.address is None else ["v4"]

    def __str__(self):
        text = [f"{self.method} {self.path}"]
        for name, value in self.headers.items():
            for one in value if isinstance(value, list) else [value]:
                one = one if len(one) < 40 else f"{len(one)} bytes"
                text.append(f"{'TTL' if name == TTL_HEADER else name}: {one}")
        if self.method not in ("PUT",) and self.address is None and self.token is not True:
            text.append("no token" if self.token is None else f"token {self.token[:12]}…")
        if self.to != "c":
            text.append(f"in container {self.to}")
        return "; ".join(text)

    def send(self, world, family):
        container = world.containers[self.to]
        address = self.address or ADDRESSES[family]
        headers = dict(self.headers)
        if self.token is True and self.method != "PUT" and self.address is None:
            headers.setdefault(TOKEN_HEADER, container.token(address=address))
        elif isinstance(self.token, str):
            headers[TOKEN_HEADER] = self.token
        began = time.monotonic()
        timeout = 1.5 if self.to == "stranger" else 5 * SLOW
        try:
            answer = Answer(*container.request(self.method, self.path, headers, address=address, timeout=timeout))
        except OSError as error:
            return Nothing(type(error).__name__)
        answer.seconds = time.monotonic() - began
        return answer


def GET(path, token=True, method="GET", to="c", address=None, **headers):
    return Request(method, path, token, named(headers), to, address)


def PUT(path, ttl=None, to="c", **headers):
    ttl = {} if ttl is None else {TTL_HEADER: [str(t) for t in ttl] if isinstance(ttl, list) else str(ttl)}
    return Request("PUT", path, None, ttl | named(headers), to)


def named(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclasses.dataclass
class Raw:
    """Bytes as they are; {token}, {host} and {ttl} are filled in. The answer is the first response; `all` has
    every byte that came."""

    text: bytes
    shown: str
    families = ["v4", "v6"]

    def __str__(self):
        return self.shown

    def send(self, world, family):
        address = ADDRESSES[family]
        container = world.containers["c"]
        host = f"[{address}]" if ":" in address else address
        data = (self.text.replace(b"{token}", f"{TOKEN_HEADER}: {container.token(address=address)}".encode())
                .replace(b"{host}", f"Host: {host}".encode()).replace(b"{authority}", host.encode())
                .replace(b"{ttl}", f"{TTL_HEADER}: 21600".encode()))
        began = time.monotonic()
        received, closed = exchange(container, data, address)
        if not received:
            return Nothing("closed" if closed else "silence")
        answer = parse(received)
        answer.closed, answer.all, answer.seconds = closed, received, time.monotonic() - began
        return answer


def exchange(container, data, address=IMDS, quiet_s=0.7):
    """Send, then read until the peer closes or is quiet: (bytes, whether it closed)."""
    received = b""
    with container.inside.connect(address) as s:
        s.sendall(data)
        s.settimeout(quiet_s)
        try:
            while chunk := s.recv(65536):
                received += chunk
        except TimeoutError:
            return received, False
        except ConnectionResetError:
            pass
    return received, True


def parse(received):
    """The first final response of a byte stream."""
    while True:
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        if status >= 200:
            break
        received = rest
    headers = Headers(line.split(": ", 1) for line in lines[1:])
    length = int(headers.get("Content-Length") or len(rest))
    return Answer(status, headers, rest[:length])


class Headers(dict):
    def __init__(self, pairs):
        super().__init__((name.lower(), value) for name, value in pairs)

    def get(self, name, default=None):
        return super().get(name.lower(), default)

    def __getitem__(self, name):
        return super().__getitem__(name.lower())


@dataclasses.dataclass
class Step:
    """A function of (world, address): more than one request. What it returns is what was got."""

    function: object
    families: list
    once: bool = False  # not once more in bridge mode

    def __str__(self):
        return self.function.__doc__.split("\n\n")[0].replace("\n    ", " ").rstrip(".")

    def send(self, world, family):
        return self.function(world, ADDRESSES[family])


def by(function):
    return Step(function, list(ADDRESSES))


def by_v4(function):
    """For what has nothing to do with addresses, or takes long."""
    return Step(function, ["v4"])


def once(function):
    """The same for what has nothing to do with the way of interception either."""
    return Step(function, ["v4"], once=True)


# Expectations: a status, a set of them, or one of these


@dataclasses.dataclass
class is_:
    text: str
    holds: object

    def __str__(self):
        return self.text


def ttl(low, high=None):
    high = high or low
    text = f"TTL {low}" if low == high else f"TTL {low}..{high}"
    return is_(text, lambda a: low <= int(a.headers.get(TTL_HEADER) or -1) <= high)


def body(expected):
    expected = expected.encode()
    return is_(f"body {expected.decode()!r}", lambda a: a.body == expected)


def matches(pattern, text=None):
    return is_(text or f"body like {pattern}", lambda a: re.fullmatch(pattern.encode(), a.body, re.S))


def contains(text):
    return is_(f"body with {text!r}", lambda a: text.encode() in a.body)


def header(name, value):
    return is_(f"{name}: {value}", lambda a: a.headers.get(name) == value)


def got(expected):
    """Of a step that returns a plain value."""
    return is_(str(expected), lambda value: value == expected)


empty = is_("no body", lambda a: a.body == b"")
no_lf = is_("no LF at the end", lambda a: a.body and not a.body.endswith(b"\n"))
has_length = is_("Content-Length", lambda a: int(a.headers.get("Content-Length") or -1) == len(a.body))
plain = header("Content-Type", "text/plain")
modified = is_("Last-Modified", lambda a: (a.headers.get("Last-Modified") or "").endswith(" GMT"))
closed = is_("closed", lambda a: getattr(a, "closed", False))
stays_open = is_("stays open", lambda a: not a.closed)
not_found = is_("EC2's XHTML page", lambda a: b"404 - Not Found" in a.body and b"<html" in a.body)
nothing = is_("no answer at all", lambda a: isinstance(a, Nothing))
within_400_ms = is_("within 400 ms", lambda a: a.seconds < 0.4 * SLOW)


@dataclasses.dataclass
class Row:
    number: object
    sent: object
    expected: tuple
    choice: str

    def __init__(self, number, sent, *expected, choice=None):
        self.number, self.sent, self.expected, self.choice = number, sent, expected, choice

    def runs_in(self, mode):
        return mode == "netns" or not getattr(self.sent, "once", False)

    def expects(self):
        return ", ".join(" or ".join(map(str, sorted(e))) if isinstance(e, set) else str(e) for e in self.expected)

    def run(self, world, family):
        """(got, the expectations that do not hold)"""
        answer = self.sent.send(world, family)
        return answer, [str(e) for e in self.expected if not holds(e, answer)]


def holds(expected, answer):
    if isinstance(expected, int):
        return getattr(answer, "status", answer) == expected
    if isinstance(expected, set):
        return getattr(answer, "status", answer) in expected
    try:
        return bool(expected.holds(answer))
    except (KeyError, ValueError, AttributeError, TypeError):
        return False


def connection(container, address):
    """One kept connection: a function (method, path, headers) -> Answer."""
    sock = container.inside.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(method, path, **headers):
        return Answer(*container.inside.request(method, path, named(headers), address=address, sock=sock))

    ask.sock = sock
    return ask
