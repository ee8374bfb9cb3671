"""STS as other software writes it: HTTP and XML in shapes that the fake AWS does not speak. The role's name says which."""

import subprocess
import sys
import time

import pytest
from host import SLOW, Host

# For each role what goes over the wire after the request: text, a pause in seconds, None to close.
SERVER = r'''
import socketserver, sys, time, urllib.parse
def when(s, form="%Y-%m-%dT%H:%M:%SZ"): return time.strftime(form, time.gmtime(time.time() + s))
def reply(expiration=None, prefix="", key="ASIAODD"):
    p, e = prefix, expiration or when(3600)
    return (f"<{p}AssumeRoleResponse><{p}AssumeRoleResult><{p}Credentials><{p}Expiration>{e}</{p}Expiration>"
            f"<{p}AccessKeyId>{key}</{p}AccessKeyId><{p}SessionToken>t</{p}SessionToken>"
            f"<{p}SecretAccessKey>s/+=</{p}SecretAccessKey></{p}Credentials></{p}AssumeRoleResult></{p}AssumeRoleResponse>")
def whole(body, status="200 OK", head="", version="1.1"):
    return [f"HTTP/{version} {status}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"]
def chunked(body):
    return (["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
            + [f"{len(body[i:i+7]):x}\r\n{body[i:i+7]}\r\n" for i in range(0, len(body), 7)] + ["0\r\n\r\n"])
def slowly(body):
    return [f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n", 0.3, body[:40], 0.3, body[40:]]
SHAPES = {
    "chunked": lambda: chunked(reply()),
    "http10": lambda: ["HTTP/1.0 200 OK\r\n\r\n" + reply(), None],
    "closing": lambda: whole(reply(), head="Connection: close\r\n") + [None],
    "slow": lambda: slowly(reply()),
    "continue": lambda: ["HTTP/1.1 100 Continue\r\n\r\n"] + whole(reply()),
    "prefixed": lambda: whole(reply(prefix="sts:")),
    "nanoseconds": lambda: whole(reply(when(3600, "%Y-%m-%dT%H:%M:%S.123456789Z"))),
    "offset": lambda: whole(reply(when(7200, "%Y-%m-%dT%H:%M:%S+01:00"))),
    "baddate": lambda: whole(reply(), head="Date: yesterday\r\n"),
    "blanks": lambda: whole(reply(key="\n  ASIAODD\n")),
    "past": lambda: whole(reply(when(-60))),
    "cut": lambda: [f"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{reply()[:100]}", None],
    "html": lambda: whole("<html><body>Sign in</body></html>"),
    "empty": lambda: whole(""),
    "redirect": lambda: whole("", "302 Found", "Location: http://10.99.0.1:8003/chunked\r\n"),
    "errorin200": lambda: whole("<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
    "doctype": lambda: whole('<!DOCTYPE a [<!ENTITY x "y">]>' + reply()),
    "twice": lambda: whole(reply().replace("<SessionToken>", "<AccessKeyId>B</AccessKeyId><SessionToken>")),
    "keyless": lambda: whole(reply(key="")),
}
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline().strip()):
                if header.lower().startswith(b"content-length:"): length = int(header[15:])
            form = urllib.parse.parse_qs(self.rfile.read(length).decode())
            for piece in SHAPES[form["RoleArn"][0].rsplit("/")[-1]]():
                if piece is None: return
                if isinstance(piece, float): time.sleep(piece)
                else: self.wfile.write(piece.encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
server = Server(("10.99.0.1", 8003), Handler)
print("ready", flush=True)
server.serve_forever()
'''
GOOD = ("chunked", "http10", "closing", "slow", "continue", "prefixed", "nanoseconds", "offset", "baddate", "blanks")
BAD = {"past": "expired already", "cut": "closed", "html": "not STS", "empty": "not STS", "redirect": "redirect",
       "errorin200": "not STS", "doctype": "document type", "twice": "twice", "keyless": "lacks a part"}


@pytest.fixture(scope="module")
def odd():
    with Host(config={"aws": {"sts_endpoint": "http://10.99.0.1:8003"}}) as host:
        server = host.aws.popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        assert server.stdout.readline() == "ready\n"
        yield host


@pytest.mark.parametrize("shape", GOOD)
def test_understood(odd, shape):
    odd.container(shape, connected=False)
    odd.register(shape, shape, wait_s=30)
    document = odd.containers[shape].credentials()
    assert document["AccessKeyId"] == "ASIAODD" and document["SecretAccessKey"] == "s/+="
    left_s = time.mktime(time.strptime(document["Expiration"], "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())
    assert 3600 - 60 * SLOW < left_s <= 3600


@pytest.mark.parametrize("shape", BAD)
def test_refused_and_told(odd, shape):
    odd.container(shape, connected=False)
    status, answer = odd.put(shape, shape, wait_s=0)
    assert status == 504, answer
    odd.wait(lambda: odd.show(shape)["state"] == "failing", "the failure", 20)
    assert BAD[shape] in odd.show(shape)["last_error"]
    assert odd.containers[shape].get(f"/latest/meta-data/iam/security-credentials/{shape}")[0] == 503
    odd.unregister(shape)
