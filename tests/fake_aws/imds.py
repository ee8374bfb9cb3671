"""The EC2 instance metadata service, IMDSv2 first.

Paths are taken as generously as they could possibly be (decoded, dots resolved, slashes folded),
so that a proxy which forwards something it did not understand gets host secrets for it and the
test sees them. The statuses and headers are those that EC2 was seen to send.
"""

import base64
import email.utils
import http.client
import re
import secrets
import threading
import time
import urllib.parse

from . import imds_tree
from .httpd import Response

TTL_HEADER = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
MAX_TTL_S = 21600
_MAX_TOKENS = 100_000

_PAGE = """<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
\t\t "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"""


class ImdsService:
    """The service behind --imds."""

    expect_continue = False  # AWS answers 417

    def __init__(self, world, *, tokens_required=True):
        self._world = world
        self._tokens_required = tokens_required
        self._tokens = _Tokens()
        tree = imds_tree.build(world)
        self._root = imds_tree.Directory(dict.fromkeys(imds_tree.VERSIONS, tree),
                                         "\n".join(imds_tree.VERSIONS))
        self._last_modified = email.utils.formatdate(world.started, usegmt=True)

    def now(self):
        return time.time()

    def refuses(self):
        return False

    def handle(self, request):
        entry = self._world.recorder.begin("imds", request)
        status = None
        try:
            delay = self._world.faults.get("imds_delay_s")
            if delay:
                time.sleep(delay)
            response = self._answer(request, entry)
            response.headers.append(("Server", "EC2ws"))
            status = response.status
        finally:
            self._world.recorder.finish(entry, status, status, request.method or "malformed")
        return response

    def _answer(self, request, entry):
        if request.malformed:
            return _page(400, close=True)
        if request.header("expect") is not None:
            return _page(417, close=True)
        segments = _segments(request.path_and_query[0])
        path = "/" + "/".join(segments)
        self._world.recorder.note(entry, path=path)
        injected = self._world.faults.take_imds_status(path)
        if injected:
            return _page(injected)
        if request.version == "HTTP/1.1" and len(request.values("host")) != 1:
            return _page(400)
        if segments[1:] == ["api", "token"]:
            return self._token(request, segments[0])
        if request.method not in ("GET", "HEAD"):
            return _page(405, [("Allow", "GET, HEAD")])
        return self._get(request, entry, segments)

    def _token(self, request, version):
        if version != "latest":
            return _page(403)
        if request.method != "PUT":
            return Response(405, b"", [("Allow", "OPTIONS, PUT"), ("Content-Type", "text/plain")])
        if request.header("x-forwarded-for") is not None:
            return _page(403)
        values = request.values(TTL_HEADER)
        if len(values) != 1 or not re.fullmatch(r"[0-9]{1,9}", values[0], re.ASCII):
            return _page(400)
        ttl = int(values[0])
        if not 1 <= ttl <= MAX_TTL_S:
            return _page(400)
        if hops := self._world.faults.get("imds_hop_limit"):
            request.set_hop_limit(hops)
        return Response(200, self._tokens.new(ttl),
                        [(TTL_HEADER, str(ttl)), ("Content-Type", "text/plain")])

    def _get(self, request, entry, segments):
        token = request.header("x-aws-ec2-metadata-token")
        headers = []
        if token is not None:
            if request.header("x-forwarded-for") is not None:
                return _page(403)
            remaining = self._tokens.remaining(token)
            self._world.recorder.note(entry, token="valid" if remaining else "invalid")
            if not remaining:
                return _page(401)
            headers.append((TTL_HEADER, str(remaining)))
        elif self._tokens_required and not self._world.faults.get("imds_optional_tokens"):
            return _page(401)

        node = self._find(segments)
        if node is None:
            return _page(404, headers)
        text = imds_tree.listing(node) if isinstance(node, dict) else node
        kind = "application/octet-stream" if segments[1:] == ["user-data"] else "text/plain"
        headers += [("Content-Type", kind), ("Accept-Ranges", "none"),
                    ("Last-Modified", self._last_modified)]
        return Response(200, text, headers)

    def _find(self, segments):
        node = self._root
        for segment in segments:
            if not isinstance(node, dict):
                return None
            node = imds_tree.resolve(node.get(segment))
        return node


class _Tokens:
    """The session tokens given out, with their expiry on the monotonic clock."""

    def __init__(self):
        self._lock = threading.Lock()
        self._expiry = {}

    def new(self, ttl):
        # 56 characters that end in "==", as AWS's do.
        token = base64.urlsafe_b64encode(b"\x01\x00\x04" + secrets.token_bytes(37)).decode()
        now = time.monotonic()
        with self._lock:
            if len(self._expiry) >= _MAX_TOKENS:
                self._expiry = {t: e for t, e in self._expiry.items() if e > now}
            self._expiry[token] = now + ttl
        return token

    def remaining(self, token):
        """Whole seconds left, at least 1, or 0 for a token that is not good."""
        with self._lock:
            left = self._expiry.get(token, 0.0) - time.monotonic()
        return max(1, int(left)) if left > 0 else 0


def _segments(path):
    segments = []
    for segment in urllib.parse.unquote(path, encoding="latin-1").split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    return segments


def _page(status, headers=(), *, close=False):
    title = f"{status} - {http.client.responses.get(status, 'Error')}"
    return Response(status, _PAGE.format(title=title),
                    [*headers, ("Content-Type", "text/html")], close=close)
