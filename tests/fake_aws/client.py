"""Starts, drives and stops a fake AWS from a test.

    with FakeAWS(imds=["169.254.169.254:80"], sts="127.0.0.1:8443", netns="host") as fake:
        fake.set(sts_error="Throttling", sts_fail_next=3)
        ...
        calls = fake.requests("sts", action="AssumeRole")

The admin interface is a unix socket, which is reached from every network namespace.
"""

import contextlib
import http.client
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

PYTHON = "/usr/bin/python3"
_TESTS_DIR = pathlib.Path(__file__).resolve().parent.parent


class FakeAWSError(Exception):
    """The fake did not start, or refused an admin call."""


class FakeAWS:
    """One running fake AWS. A port of 0 takes a free one; see `imds_addresses` and `sts_url`."""

    def __init__(self, *, imds=("127.0.0.1:0",), sts="127.0.0.1:0", netns=None, tls=None,
                 options=(), admin=None, stderr=None, start_timeout_s=10.0):
        """`tls` is (certificate file, key file); `options` are further command line arguments;
        `admin` is where to put the admin socket, else it is in a new temporary directory."""
        self._imds = [imds] if isinstance(imds, str) else list(imds)
        self._sts = sts
        self._netns = netns
        self._tls = tls
        self._options = list(options)
        self._admin = admin
        self._stderr = stderr
        self._start_timeout_s = start_timeout_s
        self._directory = None
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Process

    def start(self):
        """Starts it and waits until every listener is up."""
        if self._process is not None:
            raise FakeAWSError("already started")
        if self._admin is None:
            self._directory = tempfile.mkdtemp(prefix="fake_aws-")
        self.admin_socket = self._admin or os.path.join(self._directory, "admin.sock")
        self._process = subprocess.Popen(
            self._command(), env=os.environ | {"PYTHONPATH": str(_TESTS_DIR)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr)
        try:
            self._wait_ready()
        except FakeAWSError:
            self.stop()
            raise
        return self

    def _command(self):
        command = ["ip", "netns", "exec", self._netns] if self._netns else []
        command += [PYTHON, "-m", "fake_aws", "--follow-stdin", "--admin", self.admin_socket]
        for address in self._imds:
            command += ["--imds", address]
        if self._sts:
            command += ["--sts", self._sts]
        if self._tls:
            command += ["--sts-cert", str(self._tls[0]), "--sts-key", str(self._tls[1])]
        return command + self._options

    def _wait_ready(self):
        readable, _, _ = select.select([self._process.stdout], [], [], self._start_timeout_s)
        line = self._process.stdout.readline() if readable else b""
        if line != b"fake_aws ready\n":
            raise FakeAWSError(f"fake_aws did not become ready (exit {self._process.poll()})")

    def stop(self):
        """Ends it; returns its exit code. Stopping twice is no error."""
        code = None
        if self._process is not None:
            self._process.terminate()
            try:
                code = self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                code = self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        return code

    @property
    def pid(self):
        return self._process.pid

    # Where it listens

    @property
    def imds_addresses(self):
        """The HOST:PORTs of the metadata service."""
        return self.stats()["imds"]["listeners"]

    @property
    def imds_url(self):
        return f"http://{self.imds_addresses[0]}"

    @property
    def sts_url(self):
        return f"{'https' if self._tls else 'http'}://{self.stats()['sts']['listeners'][0]}"

    # Switches

    def set(self, **switches):
        """Sets switches (README.md), leaving the others; None means the default."""
        return self._call("PUT", "/faults", switches)

    def reset(self):
        """All switches back to their defaults."""
        return self._call("DELETE", "/faults")

    def faults(self):
        return self._call("GET", "/faults")

    @contextlib.contextmanager
    def during(self, **switches):
        """Switches for the length of a with block; afterwards they have their defaults."""
        self.set(**switches)
        try:
            yield self
        finally:
            self.set(**dict.fromkeys(switches))

    def rotate_host_credentials(self):
        """New host credentials from IMDS; STS calls the old ones expired."""
        self.set(host_credentials_expire=True)

    # What it saw

    def requests(self, service=None, *, since=0, **match):
        """The recorded requests whose fields equal `match`, oldest first."""
        query = {"since": since} | ({"service": service} if service else {})
        found = self._call("GET", "/requests?" + urllib.parse.urlencode(query))
        return [entry for entry in found
                if all(entry.get(name) == value for name, value in match.items())]

    def wait_for(self, service, count=1, *, timeout_s=5.0, **match):
        """Waits until at least `count` recorded requests match and returns them."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.requests(service, **match)
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} of {count} {service} requests like {match} "
                                     f"in {timeout_s} s")
            time.sleep(0.02)

    def clear(self):
        """Forgets the recorded requests and the counters."""
        self._call("DELETE", "/requests")

    def stats(self):
        return self._call("GET", "/stats")

    def sessions(self):
        """Every session AssumeRole gave out: access_key_id, arn, role_arn, session_name, ..."""
        return self._call("GET", "/sessions")

    def _call(self, method, target, body=None):
        connection = _UnixConnection(self.admin_socket)
        try:
            connection.request(method, target, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise FakeAWSError(answer["error"])
        return answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
