"""Every way in which STS fails (contract section 5): its class, and what the workload, the role map
and the audit show of it."""

import re
import shutil
import time

import pytest
from events import Follower, audit_directory, read_audit
from host import Host

DENIED, FAILING = "denied", "failing"
SKEWED = {"code": "SignatureDoesNotMatch", "status": 403,
          "message": "Signature expired: 20200101T000000Z is now earlier than 20200101T001500Z"}

# code (or an object, or switches): the state, and the Code that the workload sees (None: 503).
ERRORS = [
    # final
    ("AccessDenied", DENIED, "AssumeRoleUnauthorizedAccess"),
    ("MalformedPolicyDocument", DENIED, "MalformedPolicyDocument"),
    ("PackedPolicyTooLarge", DENIED, "PackedPolicyTooLarge"),
    ("RegionDisabledException", DENIED, "RegionDisabledException"),
    ("ValidationError", DENIED, "ValidationError"),
    # final once fresh host credentials have fared no better
    ("InvalidClientTokenId", DENIED, "InvalidClientTokenId"),
    ("SignatureDoesNotMatch", DENIED, "SignatureDoesNotMatch"),
    # the host's credentials
    ("ExpiredToken", FAILING, None),
    ("ExpiredTokenException", FAILING, None),
    # the clock
    (SKEWED, FAILING, None),
    # too fast
    ("Throttling", FAILING, None),
    ("ThrottlingException", FAILING, None),
    ("RequestLimitExceeded", FAILING, None),
    ("TooManyRequestsException", FAILING, None),
    ("RequestThrottled", FAILING, None),
    ("SlowDown", FAILING, None),
    # it passes
    ("RequestTimeout", FAILING, None),
    ("IDPCommunicationError", FAILING, None),
    ("InternalFailure", FAILING, None),
    ("InternalError", FAILING, None),
    ("ServiceUnavailable", FAILING, None),
    ({"sts_http_status": 429}, FAILING, None),
    ({"sts_http_status": 500}, FAILING, None),
    ({"sts_http_status": 502}, FAILING, None),
    ({"sts_http_status": 503}, FAILING, None),
    ({"sts_http_status": 504}, FAILING, None),
    ({"sts_down": True}, FAILING, None),
    ({"sts_close": True}, FAILING, None),
    ({"sts_garbage": True}, FAILING, None),
    ({"sts_truncate": True}, FAILING, None),
    ({"sts_redirect": True}, FAILING, None),
    ({"sts_oversize": 2_000_000}, FAILING, None),
]
OURS = {"sts_http_status": "HttpError", "sts_down": "ConnectFailed", "sts_close": "BadReply",
        "sts_garbage": "BadReply", "sts_truncate": "BadReply", "sts_redirect": "BadReply",
        "sts_oversize": "TooLarge"}


def name_of(error):
    if isinstance(error, str):
        return error
    return "skew" if "code" in error else "-".join(f"{k}-{v}" for k, v in error.items()).replace("_", "-")


@pytest.fixture(scope="module")
def shared():
    directory = audit_directory()
    with Host(config={"log": {"audit": str(directory / "audit.log")}}) as host:
        host.audit = directory / "audit.log"
        host.follower = Follower(host)
        yield host
        host.follower.close()
    shutil.rmtree(directory)


@pytest.mark.parametrize("error, state, document_code", ERRORS, ids=[name_of(e[0]) for e in ERRORS])
def test_sts_error(shared, error, state, document_code):
    host, name = shared, name_of(error)
    host.fake.reset()
    if isinstance(error, str) or "code" in error:
        code = error if isinstance(error, str) else error["code"]
        host.fake.set(sts_error=error)
    else:
        code = OURS[next(iter(error))]
        host.fake.set(**error)
    c = host.container(name)
    status, answer = host.put(name, "role-" + name, wait_s=30 if state == DENIED else 0)
    assert status == 504
    if state == DENIED:  # known at once
        assert answer["error"]["code"] == "role_denied" and code in answer["error"]["message"]
    host.wait(lambda: host.show(name)["last_error"] and host.show(name)["state"] != "pending", "the failure")
    entry = host.show(name)
    assert entry["state"] == state and entry["last_error"].startswith(code + ": ")
    assert entry["access_key_id"] is None and entry["last_attempt"]

    status, headers, body = c.get(f"/latest/meta-data/iam/security-credentials/role-{name}")
    if document_code:
        assert status == 200 and f'"Code" : "{document_code}"'.encode() in body and b"AccessKeyId" not in body
        message = entry["last_error"].split(": ", 1)[1]
        # The host's own identity is for the operator.
        told = re.sub(r"arn:aws:sts::\d+:assumed-role/host-role/\S+", "(withheld)", message)
        assert told[:60].encode() in body and b"host-role" not in body
    else:
        assert status == 503 and int(headers["Retry-After"]) >= 1
    assert c.role() == "role-" + name

    event = "denied" if state == DENIED else "assume_failed"
    host.follower.wait_for(event, container=name, code=code)
    audited = [line for line in read_audit(host.audit) if line.get("container") == name and line["event"] == event]
    assert audited and audited[0]["code"] == code and audited[0]["message"] in entry["last_error"]

    host.fake.reset()
    assert host.api("POST", f"/v1/containers/{name}/refresh")[0] == 202
    host.wait(lambda: host.show(name)["state"] == "ready", "it to heal", 30)
    assert c.credentials()["Code"] == "Success"
    assert host.follower.wait_for("healed", container=name)["code"] == code
    host.unregister(name)


def test_a_denied_role_heals_by_itself(shared):
    """Nobody refreshes; the first try after a denial comes within 15 seconds."""
    host = shared
    host.fake.reset()
    host.fake.set(deny_roles=["*role/self"])
    host.container("self")
    assert host.put("self", "self")[0] == 504
    host.fake.reset()
    host.wait(lambda: host.show("self")["state"] == "ready", "it to heal", 20)


def test_registering_again_asks_sts_again(shared):
    host = shared
    host.fake.reset()
    host.fake.set(deny_roles=["*role/again"])
    host.container("again")
    assert host.put("again", "again")[0] == 504
    host.fake.reset()
    time.sleep(2)  # a denial of just now would answer for it
    host.register("again", "again", expect=200)


def test_a_hiccup_while_registering_heals_in_time(shared):
    """One failed, one throttled, one hanging call: registering takes a moment longer, no more."""
    host = shared
    for i, fault in enumerate(({"sts_error": ["InternalFailure", "InternalFailure", None]},
                               {"sts_error": ["Throttling", "Throttling", None]})):
        host.fake.reset()
        host.fake.set(**fault)
        host.container(f"h{i}")
        host.register(f"h{i}", f"h{i}")
