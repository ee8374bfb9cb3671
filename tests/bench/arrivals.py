"""tests/bench/run --only arrivals: many containers registered at once, and what those that run notice of it."""

import json
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import tempfile
import time

from fleet import cpu_s, many
from host import Host

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build-bench"


class Asker:
    """Asks for cached answers for as long as the block lasts; then `times[kind]` = (n, failed, p50, p99, max) in µs."""

    def __init__(self, targets, path):
        path.write_text("".join(" ".join(map(str, target)) + "\n" for target in targets))
        self.path, self.times = path, {}

    def __enter__(self):
        self.process = subprocess.Popen([BUILD / "asker", "200", self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        for line in self.process.communicate()[0].splitlines():
            kind, *figures = line.split()
            self.times[kind] = [int(figure) for figure in figures]


def register_at_once(host, names, **fields):
    """All at once, a connection each, in one thread: how long until the last is ready."""
    began, waiting = time.monotonic(), selectors.DefaultSelector()
    for name in names:
        body = json.dumps({"role_arn": f"arn:aws:iam::123456789012:role/{name}", "wait_s": 120,
                           "netns": host.containers[name].netns.path, **fields.get(name, {})})
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(host.control_socket)
        sock.sendall(f"PUT /v1/containers/{name} HTTP/1.1\r\nHost: l\r\nConnection: close\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        waiting.register(sock, selectors.EVENT_READ)
    while waiting.get_map():
        for key, _ in waiting.select():
            status = key.fileobj.recv(65536)[9:12]
            assert status == b"201", (status, host.logs())
            waiting.unregister(key.fileobj)
            key.fileobj.close()
    return time.monotonic() - began


def ask_sts(sts):
    sts.stdin.write("\n")
    sts.stdin.flush()
    return json.loads(sts.stdout.readline())


def arrivals(options, report):
    sts_delay, in_flight = 0.1, 32
    with tempfile.TemporaryDirectory() as directory, Host({"aws": {"sts_endpoint": "http://10.99.0.1:8001",
                                                                   "sts_max_in_flight": in_flight,
                                                                   "sts_max_per_second": 1000},
                                                           "log": {"level": "info"}}) as host:
        directory = pathlib.Path(directory)
        sts = host.aws.popen([sys.executable, HERE / "quick_sts.py", "10.99.0.1", "8001", str(sts_delay)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert sts.stdout.readline() == "ready\n"
        many(host, options.running)
        running = list(host.containers)
        path = "/latest/meta-data/iam/security-credentials/role-"
        (directory / "body").write_bytes(host.containers["c0"].get(path + "c0")[2])
        bare = host.containers["c0"].netns
        bare.popen([str(BUILD / "baseline_epoll"), "18002", str(directory / "body")])
        targets = [target for name in running for target in (
            ("metadata", host.containers[name].netns.path, 80, path + name), ("bare", bare.path, 18002, "/"))]
        crowds = {f"{options.arriving} sessions": {}, f"{options.arriving // 20} shared sessions": {}}
        for crowd in crowds:
            for i in range(options.arriving):
                name = f"n{len(host.containers)}"
                host.container(name, connected=False)
                crowds[crowd][name] = {} if "shared" not in crowd else {
                    "role_arn": "arn:aws:iam::123456789012:role/shared",
                    "session_name": f"shared-{i % (options.arriving // 20)}"}
        latencies, calls = [], []
        for phase in ("quiet", *crowds):
            ask_sts(sts)
            before = cpu_s(host.daemon_pid())
            with Asker(targets, directory / "targets") as asker:
                began = time.monotonic()
                if phase == "quiet":
                    time.sleep(5)
                else:
                    register_at_once(host, crowds[phase], **crowds[phase])
                took = time.monotonic() - began
            for kind, (n, failed, *times) in asker.times.items():
                server = "rolegated" if kind == "metadata" else "bare epoll"
                latencies.append((phase, server, n, failed, *(f"{t / 1000:.2f}" for t in times)))
            if phase != "quiet":
                seen = ask_sts(sts)
                ideal = seen["calls"] / in_flight * sts_delay
                calls.append((phase, seen["calls"], seen["most"], f"{ideal:.2f}", f"{seen['seconds']:.2f}",
                              f"{took:.2f}", f"{(cpu_s(host.daemon_pid()) - before):.2f}"))
        report.section(f"{options.arriving:,} registered at once")
        report.table(("registered at once", "AssumeRole", "most at once", "ideal s", "first to last s", "all registered s",
                      "rolegated CPU s"), calls)
        report.table(("meanwhile", "server", "answers", "failed", "p50 ms", "p99 ms", "max ms"), latencies)
