"""Cases 23 to 52: requests with a token."""

import re
import time

from host import SLOW
from table.row import (GET, TOKEN_HEADER, TTL_HEADER, Raw, Row, body, by, closed, connection, contains, got,
                       has_length, header, is_, matches, modified, no_lf, not_found, once, plain, stays_open, ttl)
from table.token_rows import ROLE, TOKEN

GARBAGE = "A" * 56


def remaining(world, address):
    """PUT with TTL 100; GET; GET after 1.2 s: the TTLs they tell."""
    c = world.containers["c"]
    token = c.token(100, address)
    first = int(c.get(ROLE, token, address)[1][TTL_HEADER])
    time.sleep(1.2)
    return [first, int(c.get(ROLE, token, address)[1][TTL_HEADER])]


def head_and_get(world, address):
    """HEAD, and GET of the same: status, Content-Length, bytes of body."""
    c = world.containers["c"]
    token = c.token(address=address)
    answers = []
    for method in ("HEAD", "GET"):
        status, headers, content = c.request(method, ROLE, {TOKEN_HEADER: token}, address)
        answers.append((status, headers["Content-Length"], len(content)))
    return answers


def on_one_connection(world, address):
    """PUT token, GET role, GET credentials, all on one connection."""
    ask = connection(world.containers["c"], address)
    with ask.sock:
        token = ask("PUT", TOKEN, **{TTL_HEADER: "60"})
        role = ask("GET", ROLE, **{TOKEN_HEADER: token.body.decode()})
        credentials = ask("GET", ROLE + role.body.decode(), **{TOKEN_HEADER: token.body.decode()})
        return [token.status, role.body.decode(), credentials.status]


def slow_loris(world, _):
    """A byte of a request each half second; meanwhile container other asks for its credentials."""
    other = world.containers["other"]
    token, slowest, began = other.token(), 0.0, time.monotonic()
    with world.containers["c"].inside.connect(timeout=0.5) as s:
        sent = b"GET /latest/ HTTP/1.1\r\nX-A: " + b"a" * 1000
        for i in range(60):
            try:
                s.sendall(sent[i:i + 1])
                if s.recv(4096) == b"":
                    break
                answered = True
            except TimeoutError:
                answered = False
            except OSError:
                break
            asked = time.monotonic()
            assert other.get(ROLE, token)[2] == b"batch"
            slowest = max(slowest, time.monotonic() - asked)
            if answered:
                break
        return {"ended_after_s": round(time.monotonic() - began), "others_slowest_ms": round(slowest * 1000)}


def raw(line, shown, extra=b""):
    return Raw(line + b"\r\n{host}\r\n{token}\r\n" + extra + b"\r\n", shown)


def lists(*names):
    return body("\n".join(names))


PIPELINE = (b"GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n{host}\r\n{token}\r\n\r\n"
            b"GET /latest/nothing HTTP/1.1\r\n{host}\r\n{token}\r\n\r\n"
            b"GET /latest/meta-data/iam/security-credentials HTTP/1.1\r\n{host}\r\n{token}\r\nConnection: close\r\n\r\n")

ROWS = [
    Row(23, GET(ROLE, token=None), 401),
    Row(24, GET(ROLE, token=GARBAGE), 401),
    Row("24 more", GET(ROLE, token=""), 401),
    Row("24 more", GET(ROLE, token="A" * 4000), 401),
    Row("24 more", GET(ROLE, token=None, X_aws_ec2_metadata_token=["A", "B"]), 400),
    Row(25, GET(ROLE, token=None, to="optional"), 200, body("old")),
    Row(26, GET(ROLE, token=GARBAGE, to="optional"), 401),
    Row(27, by(remaining), is_("99 or 100, then less", lambda t: 99 <= t[0] <= 101 and t[1] < t[0])),
    Row(28, GET("/latest/meta-data/nothing"), 404, ttl(21500, 21600)),
    Row(29, by(head_and_get), got([(200, "3", 0), (200, "3", 3)])),
    Row(30, GET(ROLE, method="POST"), 405, header("Allow", "GET, HEAD")),
    Row(30, GET(ROLE, method="DELETE"), 405),
    Row("30 more", GET(ROLE, method="PATCH"), 405),
    Row("30 more", GET(ROLE, method="get"), 405),
    Row(31, GET(ROLE, X_Forwarded_For="10.0.0.1"), 403),
    Row("31 more", GET(ROLE, token=None, to="optional", X_Forwarded_For="10.0.0.1"), 403),
    Row(32, GET("/latest/meta-data/nothing"), 404, not_found, header("Content-Type", "text/html")),
    Row("32 more", GET("/latest/meta-data/nothing"), is_("339 bytes, as EC2's", lambda a: len(a.body) == 339)),
    Row(33, GET("/"), 200, matches(r"1\.0\n(\d{4}-\d\d-\d\d\n)+latest", "versions, …, latest"), plain, modified),
    Row(34, GET("/latest"), 200, lists("dynamic", "meta-data"),
        choice="user-data is blocked, and only what is served is listed (case 77)"),
    Row(35, GET("/latest/meta-data/iam/"), 200, lists("info", "security-credentials/"), no_lf),
    Row(36, GET("/latest/meta-data/iam"), 200, lists("info", "security-credentials/")),
    Row("36 more", GET("/latest/meta-data/iam/security-credentials"), 200, body("web")),
    Row(37, GET("/latest/meta-data/iam/info/"), 200, contains('"InstanceProfileArn"')),
    Row(38, GET(ROLE + "?x=1"), 200, body("web")),
    Row("38 more", GET(ROLE + "?x=/../../y"), 200, body("web")),
    Row(39, GET("//latest//meta-data/iam///security-credentials//"), 200, body("web")),
    Row(40, GET("/2016-09-02/meta-data/iam/security-credentials/"), 200, body("web")),
    Row(41, GET("/9999-01-01/meta-data/iam/security-credentials/"), 404),
    Row(42, raw(b"GET /latest/meta-data/iam/info HTTP/1.0", "GET by HTTP/1.0"), 200, has_length, closed),
    Row("42 more", raw(b"GET /latest/meta-data/iam/info HTTP/1.0", "the same, Connection: keep-alive",
                       b"Connection: keep-alive\r\n"), 200, stays_open, header("Connection", "keep-alive")),
    Row("42 more", Raw(b"GET /latest/meta-data/iam/info HTTP/1.0\r\n{token}\r\n\r\n", "HTTP/1.0 without Host"), 200),
    Row(43, by(on_one_connection), got([200, "web", 200])),
    Row(44, Raw(PIPELINE, "three GETs at once: role, nothing, role"),
        is_("200, 404, 200 in this order", lambda a: re.findall(rb"HTTP/1.1 (\d+)", a.all) == [b"200", b"404", b"200"]),
        closed),
    Row(45, raw(b"GET http://{authority}/latest/meta-data/iam/security-credentials/ HTTP/1.1", "GET, absolute-form"),
        200, body("web")),
    Row("45 more", raw(b"GET http://evil.example/latest/ HTTP/1.1", "absolute-form of another host"), 403),
    Row("45 more", raw(b"GET http://169.254.169.254@evil.example/latest/ HTTP/1.1", "the same with user information"),
        400, closed),
    Row("45 more", raw(b"OPTIONS * HTTP/1.1", "asterisk-form"), 400, closed),
    Row("45 more", raw(b"CONNECT 169.254.169.254:80 HTTP/1.1", "authority-form"), 400, closed),
    Row(46, Raw(b"GET /latest/ HTTP/1.1\r\n{token}\r\n\r\n", "GET by HTTP/1.1 without Host"), 400, closed),
    Row("46 more", raw(b"GET /latest/ HTTP/1.1", "two Hosts", b"Host: 169.254.169.254\r\n"), 400, closed),
    Row(47, GET(ROLE, Host="evil.com"), 403),
    Row("47 more", GET(ROLE, Host="169.254.169.254.evil.com"), 403),
    Row("47 more", GET(ROLE, Host="169.254.169.254:8080"), 403),
    Row("47 more", GET(ROLE, Host="127.0.0.1"), 403),
    Row("47 more", GET(ROLE, Host=""), 403),
    Row(48, GET(ROLE, Host="[fd00:ec2::254]"), 200),
    Row(48, GET(ROLE, Host="fd00:ec2::254"), 200),
    Row("48 more", GET(ROLE, Host="169.254.169.254:80"), 200),
    Row("48 more", GET(ROLE, Host="[fd00:ec2::254]:80"), 200),
    Row("48 more", GET(ROLE, Host="instance-data.ec2.internal"), 200),
    Row(49, raw(b"GET /latest/ HTTP/1.1", "GET with a header of 8 KiB", b"X-A: " + b"a" * 8192 + b"\r\n"),
        {400, 431}, closed),
    Row("49 more", raw(b"GET /latest/ HTTP/1.1", "GET with 65 headers more", b"X-A: a\r\n" * 65), 431, closed),
    Row("49 more", raw(b"GET /" + b"a" * 2100 + b" HTTP/1.1", "GET with a target of 2.1 KiB"), 414, closed),
    Row(50, raw(b"GET /latest/\x00meta-data/ HTTP/1.1", "GET, NUL in the path"), 400, closed),
    Row(50, raw(b"GET /latest/\rmeta-data/ HTTP/1.1", "GET, CR in the path"), 400, closed),
    Row(50, raw(b"GET /latest/\nmeta-data/ HTTP/1.1", "GET, LF in the path"), 400, closed),
    Row(50, GET("/latest/meta-data/iam%00/"), 400),
    Row(50, GET("/latest/meta-data/iam%0d/"), 400),
    Row(50, GET(ROLE + "web%0A"), 400),
    Row("50 more", raw(b"GET /latest/ HTTP/1.1", "a folded header", b"X-A: a\r\n b\r\n"), 400, closed),
    Row("50 more", raw(b"GET /latest/ HTTP/1.1", "white space before a colon", b"X-A : a\r\n"), 400, closed),
    Row("50 more", Raw(b"GET /latest/ HTTP/1.1\nHost: 169.254.169.254\n\n", "line ends without CR"), 400, closed),
    Row("50 more", raw(b"GET  /latest/ HTTP/1.1", "two spaces after the method"), 400, closed),
    Row("50 more", raw(b"GET /latest/ HTTP/2.0", "HTTP/2.0"), 505, closed),
    Row(51, raw(b"PUT /latest/api/token HTTP/1.1", "Content-Length and Transfer-Encoding",
                b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, closed),
    Row("51 more", raw(b"PUT /latest/api/token HTTP/1.1", "two Content-Lengths",
                       b"Content-Length: 0\r\nContent-Length: 5\r\n"), 400, closed),
    Row("51 more", raw(b"PUT /latest/api/token HTTP/1.1", "Content-Length: +0", b"Content-Length: +0\r\n"), 400, closed),
    Row("51 more", raw(b"PUT /latest/api/token HTTP/1.0", "HTTP/1.0, chunked", b"Transfer-Encoding: chunked\r\n"),
        400, closed),
    Row(52, once(slow_loris), is_("ended within 9 to 14 s, other under 400 ms", lambda r: 9 <= r["ended_after_s"] <= 14 * SLOW
                                and r["others_slowest_ms"] < 400 * SLOW)),
]
