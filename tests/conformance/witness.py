"""Runs a client beside an endpoint that notes who signs: an S3 and an STS, enough for one call.

    witness.py COMMAND…          ENDPOINT is set for the command

Prints, as one JSON line, what the client printed (one JSON object) plus "signed_with": the access key
ids of its requests. It listens on loopback, so every network namespace can have its own.
"""

import http.server
import json
import os
import re
import subprocess
import sys
import threading

IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::000000000000:assumed-role/witness/only</Arn>
<UserId>AROA:witness</UserId><Account>000000000000</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""
BUCKETS = """<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>o</ID><DisplayName>o</DisplayName>
</Owner><Buckets><Bucket><Name>bucket</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets>
</ListAllMyBucketsResult>"""
BUCKET = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix></Prefix><Marker></Marker>
<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"""


class Witness(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    signed_with = []

    def do_GET(self):
        path = self.path.split("?")[0].strip("/")
        self._answer(BUCKETS if not path else BUCKET)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(IDENTITY)

    do_PUT = do_POST
    do_HEAD = do_GET

    def _answer(self, text):
        key = re.search(r"Credential=([A-Z0-9]+)/", self.headers.get("Authorization", ""))
        if key and self.headers.get("X-Amz-Security-Token"):
            self.signed_with.append(key.group(1))
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Witness)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    result = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                            env=os.environ | {"ENDPOINT": endpoint})
    if result.returncode != 0:
        return result.returncode if result.returncode > 0 else 1
    print(json.dumps(json.loads(result.stdout) | {"signed_with": sorted(set(Witness.signed_with))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
