"""An STS that costs next to nothing: `quick_sts.py ADDRESS PORT DELAY_S`. It answers every AssumeRole, after the
delay, without looking at the signature, and prints for each line on its standard input one JSON object: calls so far,
the most at once, seconds from the first one's arrival to the last one's answer. The fake AWS checks everything, and
so takes the processor from what is measured."""

import asyncio
import json
import sys
import time

ANSWER = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>\
<AssumedRoleUser><AssumedRoleId>AROAQUICK:s</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>\
</AssumedRoleUser><Credentials><AccessKeyId>ASIAQUICK{n:08d}</AccessKeyId><SecretAccessKey>quick</SecretAccessKey>\
<SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult>\
<ResponseMetadata><RequestId>{n}</RequestId></ResponseMetadata></AssumeRoleResponse>"""


class Quick(asyncio.Protocol):
    delay, calls, now, most, first, last = 0.1, 0, 0, 0, 0.0, 0.0

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        if not found or len(body) < length:
            return
        self.data = body[length:]
        Quick.first = Quick.first or time.monotonic()
        Quick.calls += 1
        Quick.now += 1
        Quick.most = max(Quick.most, Quick.now)
        asyncio.get_running_loop().call_later(self.delay, self.answer)

    def answer(self):
        Quick.now -= 1
        Quick.last = time.monotonic()
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body = ANSWER.format(n=Quick.calls, token="t" * 400, expiration=expiration).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def report():
    if not sys.stdin.readline():
        asyncio.get_running_loop().stop()
        return
    print(json.dumps({"calls": Quick.calls, "most": Quick.most, "seconds": round(Quick.last - Quick.first, 3)}),
          flush=True)
    Quick.calls = Quick.most = Quick.first = Quick.last = 0


async def serve():
    loop = asyncio.get_running_loop()
    Quick.delay = float(sys.argv[3])
    await loop.create_server(Quick, sys.argv[1], int(sys.argv[2]), backlog=1024)
    loop.add_reader(sys.stdin.fileno(), report)
    print("ready", flush=True)


loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
loop.run_forever()
