"""Cases 53 to 67: the role and its credentials."""

import datetime
import json
import re
import threading
import time

from table.row import (GET, TOKEN_HEADER, Answer, Row, body, by, contains, got, has_length, header, is_, matches,
                       modified, nothing, once, plain, within_400_ms)
from table.token_rows import ROLE

KEYS = ["Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def is_document(answer):
    document = json.loads(answer.body)
    return (list(document) == KEYS and document["Code"] == "Success" and document["Type"] == "AWS-HMAC"
            and all(re.fullmatch(TIME, document[key]) for key in ("LastUpdated", "Expiration")))


def keyed(world, address):
    """GET credentials; its AccessKeyId is the one that the STS issued for this container's role."""
    c = world.containers["c"]
    key = json.loads(c.get(ROLE + "web", address=address)[2])["AccessKeyId"]
    return next(s["role_arn"] for s in world.host.fake.sessions() if s["access_key_id"] == key)


def another_role(world, address):
    """GET another container's role, the host's, one that nobody has; STS calls meanwhile."""
    before = len(world.host.fake.requests("sts"))
    statuses = [world.containers["c"].get(ROLE + name, address=address)[0] for name in ("batch", "host-role", "none")]
    return [*statuses, len(world.host.fake.requests("sts")) - before]


def without_role(world, _):
    """Register a container without role_arn."""
    status, answer = world.host.api("PUT", "/v1/containers/none",
                                    {"netns": world.containers["stranger"].netns.path})
    return [status, answer["error"]["field"]]


def denied(world, _):
    """The STS denies the role: GET role, GET credentials."""
    with world.fresh() as host:
        host.fake.set(deny_roles=["*role/web"])
        c = host.container("c")
        host.put("c")
        status, _, role = c.get(ROLE)
        answer = Answer(*c.get(ROLE + "web"))
        document = json.loads(answer.body)
        return [status, role.decode(), answer.status, document["Code"], "AccessKeyId" in document]


def down_and_cached(world, _):
    """Credentials are cached, then the STS is down: GET."""
    with world.fresh() as host:
        c = host.container("c")
        host.register("c")
        host.fake.set(sts_down=True)
        host.api("POST", "/v1/containers/c/refresh")
        host.wait(lambda: host.show("c")["last_error"], "a failed renewal")
        return Answer(*c.get(ROLE + "web"))


def down_and_empty(world, _):
    """The STS hangs from the beginning: GET."""
    with world.fresh() as host:
        host.fake.set(sts_hang=True)
        c = host.container("c")
        host.put("c", wait_s=1)
        token = c.token()
        began = time.monotonic()
        answer = Answer(*c.get(ROLE + "web", token))
        answer.seconds = time.monotonic() - began
        host.fake.reset()
        return answer


def parallel(world, _):
    """100 connections ask while the role is first being assumed; then once more."""
    with world.fresh() as host:
        host.fake.set(sts_hang=True)
        c = host.container("c")
        host.put("c", wait_s=1)
        token, answers = c.token(), []

        def ask():
            answers.append(c.get(ROLE + "web", token)[0])

        threads = [threading.Thread(target=ask) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        host.fake.reset()  # within the 5 s that one call may take
        host.wait(lambda: host.show("c")["state"] == "ready", "the credentials")
        return [sorted(set(answers)), c.get(ROLE + "web", token)[0],
                len(host.fake.requests("sts", action="AssumeRole"))]


def left(world, address):
    """GET credentials of a session of 3600 s: minutes left."""
    document = json.loads(world.containers["c"].get(ROLE + "web", address=address)[2])
    end = datetime.datetime.strptime(document["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
    return round((end - datetime.datetime.utcnow()).total_seconds() / 60)


def reused(world, _):
    """A container ends; a new one with its address and its id asks with the old one's token, and a new one."""
    with world.fresh() as host:
        first = host.container("first", address="10.98.200.2")
        host.register("x", "team/web", netns=first.netns.path)
        token, role = first.token(), first.role()
        host.unregister("x")
        first.close()
        second = host.container("second", address="10.98.200.2")
        try:
            before = second.request("GET", ROLE, {TOKEN_HEADER: token}, timeout=1)[0]
        except OSError:
            before = "no answer"
        host.register("x", "batch", netns=second.netns.path)
        return [role, before, second.get(ROLE, token)[0], second.role()]


ROWS = [
    Row(53, GET(ROLE), 200, body("web"), plain, has_length, modified),
    Row(54, GET(ROLE + "web"), 200, is_("the 7 keys, times with Z", is_document), plain, has_length,
        modified),
    Row("54 more", GET(ROLE + "web"),
        matches(r'\{\n  "Code" : "Success",\n(  "\w+" : "[^"]*",?\n)+\}', "EC2's layout, byte for byte")),
    Row("54 more", by(keyed), got("arn:aws:iam::123456789012:role/team/web")),
    Row(55, GET(ROLE + "web/"), 200, contains('"AccessKeyId"')),
    Row(56, by(another_role), got([404, 404, 404, 0])),
    Row(57, GET("/latest/meta-data/iam/security-credentials-extended/"), 200, body("web")),
    Row(57, GET("/latest/meta-data/iam/security-credentials-extended/web"), 200,
        contains('"AccountId" : "123456789012"'), contains('"AccessKeyId"')),
    Row("57 more", GET("/latest/meta-data/iam/security-credentials-extended/host-role"), 404),
    Row(58, GET(ROLE + "a+b=c,d.e@f-g", to="odd"), 200, contains('"AccessKeyId"')),
    Row(58, GET(ROLE + "a%2Bb%3Dc%2Cd.e%40f-g", to="odd"), 200, contains('"AccessKeyId"')),
    Row(59, once(without_role), got([422, "role_arn"]),
        choice="every registered container has a role: one without is refused when it registers"),
    Row(60, once(denied), got([200, "web", 200, "AssumeRoleUnauthorizedAccess", False])),
    Row(61, once(down_and_cached), 200, is_("credentials", is_document)),
    Row(62, once(down_and_empty), 503, within_400_ms, header("Retry-After", "1")),
    Row(63, once(parallel), got([[503], 200, 1]),
        choice="no request waits for the STS: the 100 are answered 503 at once (SDKs give up after 500 ms), and there "
               "is one AssumeRole"),
    Row(64, by(left), is_("at least 30 minutes", lambda minutes: 30 <= minutes <= 60)),
    Row(65, GET(ROLE, token=None, to="stranger"), nothing,
        choice="403 or 404 was asked: but from an unregistered container not even a connection is made"),
    Row(66, once(reused), is_("web; no answer; 401; batch", lambda r: r == ["web", "no answer", 401, "batch"])),
    Row(67, GET("/latest/meta-data/iam/info"), 200, contains('"Code" : "Success"'), contains('"InstanceProfileId" : '),
        contains('"InstanceProfileArn" : "arn:aws:iam::123456789012:'), modified),
]
