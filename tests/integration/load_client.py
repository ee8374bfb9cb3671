"""Load from inside one container, as a program of its own: `load_client.py ROLE [NEW_PER_SECOND] [KEEP_ALIVE]`.

Says "started" after the first good answers, runs until its standard input ends, then prints one JSON object:
what was asked, and every failure as (seconds since the start, kind, which connection, detail). A pooled
connection that the server has closed while it was idle is no failure: clients look before they ask.
"""

import http.client
import json
import select
import socket
import sys
import threading
import time

ADDRESS = ("169.254.169.254", 80)
STARTED = time.monotonic()
stop = threading.Event()
lock = threading.Lock()
counts = {"new": 0, "keep": 0, "reconnected": 0}
failures, slowest, keys = [], [0.0], set()


def note(kind, which, detail):
    with lock:
        failures.append((round(time.monotonic() - STARTED, 3), kind, which, detail))


def connect():
    sock = socket.create_connection(ADDRESS, timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock, method, path, headers):
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{lines}\r\n".encode())
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return response, response.read()


def one(which, sock, path, token):
    """One request, judged. True if the connection may be used again."""
    began = time.monotonic()
    try:
        response, body = ask(sock, "GET", path, {"X-aws-ec2-metadata-token": token})
    except OSError as error:
        note("timeout" if isinstance(error, TimeoutError) else "broken", which, repr(error))
        return False
    except http.client.HTTPException as error:
        note("broken", which, repr(error))
        return False
    with lock:
        counts[which] += 1
        slowest[0] = max(slowest[0], time.monotonic() - began)
    if response.status != 200:
        note("status", which, response.status)
    else:
        with lock:
            keys.add(json.loads(body)["AccessKeyId"])
    return not response.will_close


def open_for(which):
    try:
        return connect()
    except OSError as error:
        note("refused", which, repr(error))
        return None


def new_connections(path, token, period_s):
    due = time.monotonic()
    while not stop.is_set():
        sock = open_for("new")
        if sock:
            one("new", sock, path, token)
            sock.close()
        due = max(due + period_s, time.monotonic() - 1)
        stop.wait(max(0, due - time.monotonic()))


def keep_alive(path, token, period_s):
    sock = None
    while not stop.is_set():
        if sock and select.select([sock], [], [], 0)[0]:
            sock = sock.close()
            counts["reconnected"] += 1
        sock = sock or open_for("keep")
        if sock and not one("keep", sock, path, token):
            sock = sock.close()
        stop.wait(period_s)


def main():
    role = sys.argv[1]
    per_second, n_keep = (int(argument) for argument in (sys.argv[2:] + ["200", "8"][len(sys.argv) - 2:]))
    path = f"/latest/meta-data/iam/security-credentials/{role}"
    with connect() as sock:
        token = ask(sock, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})[1].decode()
    workers = 10 if per_second else 0
    threads = [threading.Thread(target=new_connections, args=(path, token, workers / per_second))
               for _ in range(workers)]
    threads += [threading.Thread(target=keep_alive, args=(path, token, 0.02)) for _ in range(n_keep)]
    for thread in threads:
        thread.start()
        time.sleep(0.003)
    while not failures and sum(counts.values()) < len(threads):
        time.sleep(0.01)
    print("started", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({**counts, "seconds": round(time.monotonic() - STARTED, 1), "slowest_s": round(slowest[0], 3),
                      "keys": sorted(keys), "failures": failures}), flush=True)


main()
