"""Followers of GET /v1/events, and readers of the audit, for tests."""

import http.client
import json
import os
import pathlib
import queue
import threading

from host import SLOW, UnixConnection


class Follower:
    """Follows the events of a host in a thread; `wait_for` returns the first that matches."""

    def __init__(self, host):
        self.connection = UnixConnection(host.control_socket, None)
        self.connection.request("GET", "/v1/events")
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.status
        self.seen = []
        self.queue = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while line := self.response.readline():
                self.queue.put(json.loads(line))
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.queue.put(None)

    def wait_for(self, event, timeout_s=10, **match):
        """The first event, seen before or to come, that is of this kind and has these members."""
        def fits(e):
            return e["event"] == event and all(e.get(key) == value for key, value in match.items())

        for e in self.seen:
            if fits(e):
                return e
        while True:
            try:
                e = self.queue.get(timeout=timeout_s * SLOW)
            except queue.Empty:
                raise AssertionError(f"no {event} like {match} among {self.seen}") from None
            assert e is not None, f"the stream ended without {event} like {match}: {self.seen}"
            self.seen.append(e)
            if fits(e):
                return e

    def close(self):
        sock = self.connection.sock
        if sock:
            try:
                sock.shutdown(2)
            except OSError:
                pass
        self.thread.join(5)
        self.connection.close()


def audit_directory(host_dir=None):
    """A directory that rolegated can write its audit to, whoever it has become."""
    import tempfile
    directory = pathlib.Path(host_dir or tempfile.mkdtemp(prefix="rolegate-audit-"))
    directory.chmod(0o777)
    return directory


def read_audit(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()] if os.path.exists(path) else []
