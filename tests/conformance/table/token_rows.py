"""Cases 1 to 22: the session token."""

import os
import time

from host import WRAPPER
from table.row import (GET, PUT, TOKEN_HEADER, TTL_HEADER, Answer, Raw, Row, body, by, closed, empty, got,
                       has_length, header, is_, matches, no_lf, nothing, once, plain, stays_open, ttl)

# AddressSanitizer keeps what was freed for a while, valgrind too.
GROWTH_KIB = 300 * 1024 if WRAPPER or os.environ.get("ROLEGATE_SANITIZED") else 1024
TOKEN = "/latest/api/token"
ROLE = "/latest/meta-data/iam/security-credentials/"
TOKEN_TEXT = matches(r"[A-Za-z0-9_-]{56}", "56 characters of base64url")


def short_lived(world, address):
    """PUT with TTL 1; GET at once; GET after 2.1 s."""
    c = world.containers["c"]
    token = c.token(1, address)
    at_once = c.get(ROLE, token, address)[0]
    time.sleep(2.1)
    return [at_once, c.get(ROLE, token, address)[0]]


def after_a_restart(world, _):
    """PUT; rolegated stops and starts; GET with that token."""
    with world.fresh() as host:
        c = host.container("c")
        host.register("c")
        token = c.token()
        host.daemon.stop()
        host.start_daemon()
        return Answer(*c.get(ROLE, token))


def ten_thousand(world, _):
    """10,000 PUTs on a kept connection; growth of rolegated's memory in KiB."""
    def rss():
        with open(f"/proc/{world.host.daemon.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))

    one = f"PUT {TOKEN} HTTP/1.1\r\nHost: 169.254.169.254\r\n{TTL_HEADER}: 60\r\n\r\n".encode()
    c = world.containers["c"]
    with c.inside.connect() as s:
        s.sendall(one)
        length = len(s.recv(4096))  # of every answer: only date and token differ

        def put(count):
            s.sendall(one * count)
            left = count * length
            while left > 0:
                chunk = s.recv(min(left, 65536))
                assert chunk, f"closed with {left} bytes to come"
                left -= len(chunk)

        put(100)
        before = rss()
        for _ in range(100):
            put(100)
        return rss() - before


def others_token(world, address):
    """A token of container other, sent by c; the same by other itself."""
    token = world.containers["other"].token(address=address)
    return [world.containers[name].get(ROLE, token, address)[0] for name in ("c", "other")]


def chunked_then_get(world, address):
    """PUT with an empty chunked body, then GET on the same connection."""
    with_ttl = {TTL_HEADER: "60", "Transfer-Encoding": "chunked"}
    c = world.containers["c"]
    with c.inside.connect(address) as s:
        status, _, token = c.inside.request("PUT", TOKEN, with_ttl, address=address, sock=s, body=b"0\r\n\r\n")
        again, _, role = c.inside.request("GET", ROLE, {TOKEN_HEADER: token.decode()}, address=address, sock=s)
    return [status, again, role.decode()]


def expecting(world, address):
    """PUT, chunked, Expect: 100-continue; the body only after the 100."""
    host = f"[{address}]" if ":" in address else address
    with world.containers["c"].inside.connect(address) as s:
        s.sendall(f"PUT {TOKEN} HTTP/1.1\r\nHost: {host}\r\n{TTL_HEADER}: 60\r\nTransfer-Encoding: chunked\r\n"
                  "Expect: 100-continue\r\n\r\n".encode())
        first = s.recv(4096).split(b"\r\n")[0].decode()
        s.sendall(b"0\r\n\r\n")
        return [first, s.recv(4096).split(b"\r\n")[0].decode()]


ROWS = [
    Row(1, PUT(TOKEN, ttl=21600), 200, ttl(21600), TOKEN_TEXT, no_lf, plain, has_length),
    Row(2, by(short_lived), got([200, 401])),
    Row(3, PUT(TOKEN, ttl=0), 400),
    Row(4, PUT(TOKEN, ttl=21601), 400),
    Row(5, PUT(TOKEN, ttl=-1), 400),
    Row(6, PUT(TOKEN, ttl="abc"), 400),
    Row("6 more", PUT(TOKEN, ttl="60 "), 200, choice="white space around a header's value is none of it (RFC 9110)"),
    Row("6 more", PUT(TOKEN, ttl="+60"), 400),
    Row("6 more", PUT(TOKEN, ttl="0x3c"), 400),
    Row("6 more", PUT(TOKEN, ttl="60.0"), 400),
    Row("6 more", PUT(TOKEN, ttl="184467440737095516220"), 400),
    Row(7, PUT(TOKEN), 400),
    Row(8, PUT(TOKEN, ttl=[60, 60]), 400),
    Row(9, PUT(TOKEN, ttl=60, X_Forwarded_For="10.0.0.1"), 403),
    Row(10, PUT(TOKEN, ttl=60, X_Forwarded_For=""), 403),
    Row(11, GET(TOKEN, token=None), 405, header("Allow", "OPTIONS, PUT")),
    Row(12, GET(TOKEN, token=None, method="POST"), 405, header("Allow", "OPTIONS, PUT")),
    Row("12 more", GET(TOKEN, token=None, method="HEAD"), 405, empty),
    Row(13, PUT("/2021-03-23/api/token", ttl=60), 403),
    Row(14, PUT(TOKEN + "/", ttl=21600), 200, ttl(21600), TOKEN_TEXT),
    Row(15, Raw(b"PUT /latest/api/token HTTP/1.1\r\n{host}\r\n{ttl}\r\n\r\n", "PUT without Content-Length"),
        200, TOKEN_TEXT, stays_open),
    Row("15 more", PUT(TOKEN, ttl=60, Content_Length="0"), 200, TOKEN_TEXT),
    Row("15 more", Raw(b"PUT /latest/api/token HTTP/1.1\r\n{host}\r\n{ttl}\r\nContent-Length: 3\r\n\r\nabc",
                       "PUT with a body of 3 bytes"),
        413, closed, choice="no SDK sends a body; nothing is read that is not understood"),
    Row(16, by(chunked_then_get), got([200, 200, "web"])),
    Row("16 more", Raw(b"PUT /latest/api/token HTTP/1.1\r\n{host}\r\n{ttl}\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabc\r\n0\r\n\r\n", "PUT with a chunk of 3 bytes"), 413, closed),
    Row("16 more", Raw(b"PUT /latest/api/token HTTP/1.1\r\n{host}\r\n{ttl}\r\nTransfer-Encoding: gzip, chunked\r\n"
                       b"\r\n0\r\n\r\n", "PUT with another transfer coding"), 501, closed),
    Row(17, by(expecting), got(["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"])),
    Row("17 more", PUT(TOKEN, ttl=60, Expect="100-continue"), 200, TOKEN_TEXT),
    Row("17 more", PUT(TOKEN, ttl=60, Expect="200-ok"), 417),
    Row(18, Raw(b"PUT /latest/api/token HTTP/1.1\r\nhost: 169.254.169.254\r\n"
                b"x-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n", "PUT with header names in lower case"),
        200, ttl(60), TOKEN_TEXT),
    Row(19, by(others_token), got([401, 200])),
    Row(20, once(after_a_restart), 200, body("web"),
        choice="stronger than asked: the key outlives a restart, so the token stays valid"),
    Row(21, once(ten_thousand), is_(f"under {GROWTH_KIB}", lambda kib: kib < GROWTH_KIB)),
    Row(22, PUT(TOKEN, ttl=60, to="off"), 403),
    Row(22, GET(ROLE, token=None, to="off"), 403),
    Row("22 more", GET("/", token=None, to="off"), 403),
    Row("22 more", PUT(TOKEN, ttl=60, to="stranger"), nothing,
        choice="a container that is not registered does not even get a connection"),
]
