"""One container's workload in the soak: asks for its role and credentials until its standard input ends.

`client.py ROLE PAUSE_S`. Prints one JSON line a second and at the end: {"asked", "served", "unavailable", "broken",
"longest_gap_s", "wrong", "keys"}; "wrong" lists answers that no one but this container's role may explain, "keys" the
access key ids that were handed out since the line before.
"""

import http.client
import json
import select
import socket
import sys
import time

ADDRESS = ("169.254.169.254", 80)
PATH = "/latest/meta-data/iam/security-credentials/"


def ask(sock, method, path, headers):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{lines}\r\n".encode())
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return response, response.read()


def main():
    role, pause = sys.argv[1], float(sys.argv[2])
    seen = {"asked": 0, "served": 0, "unavailable": 0, "broken": 0, "longest_gap_s": 0.0, "wrong": [], "keys": []}
    sock = token = None
    served = told = time.monotonic()
    while not select.select([sys.stdin], [], [], pause)[0]:
        seen["asked"] += 1
        try:
            sock = sock or socket.create_connection(ADDRESS, timeout=5)
            if token is None:
                response, body = ask(sock, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"})
                if response.status != 200:
                    raise OSError(f"no token: {response.status}")
                token = body.decode()
            # The listing and the document in turn: the role's name must be ours, and no other's document be had.
            path = PATH + (role if seen["asked"] % 3 else "")
            response, body = ask(sock, "GET", path, {"X-aws-ec2-metadata-token": token})
            if response.status == 200 and path == PATH and body.decode() != role:
                seen["wrong"].append(body.decode())
            elif response.status == 200 and path != PATH:
                document = json.loads(body)
                if document["Code"] == "Success":
                    seen["keys"].append(document["AccessKeyId"])
                    now = time.monotonic()
                    seen["longest_gap_s"] = max(seen["longest_gap_s"], now - served)
                    served = now
                    seen["served"] += 1
            elif response.status == 401:
                token = None
            elif response.status in (503, 429):
                seen["unavailable"] += 1
            elif response.status != 200:
                seen["wrong"].append(f"{path}: {response.status}")
            if response.will_close or seen["asked"] % 50 == 0:  # new connections, too
                sock = sock.close()
        except (OSError, http.client.HTTPException, ValueError):
            seen["broken"] += 1
            sock = sock and sock.close()
        if time.monotonic() - told > 1:
            told = time.monotonic()
            print(json.dumps(seen), flush=True)
            seen["keys"], seen["wrong"] = [], []
    seen["longest_gap_s"] = max(seen["longest_gap_s"], time.monotonic() - served)
    print(json.dumps(seen), flush=True)


main()
