"""Tests of the fake itself, with Debian's boto3 as the independent client.

    /usr/bin/python3 -m pytest tests/fake_aws
"""

import concurrent.futures
import datetime
import hashlib
import http.client
import json
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse

import boto3
import botocore.awsrequest
import botocore.config
import botocore.exceptions
import botocore.session
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from fake_aws import sigv4  # noqa: E402
from fake_aws.client import FakeAWS, FakeAWSError  # noqa: E402
from fake_aws.httpd import Request  # noqa: E402

ROLE = "arn:aws:iam::123456789012:role/team/web"
STATIC = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@pytest.fixture(scope="module")
def running():
    with FakeAWS(options=["--static-key", ":".join(STATIC), "--imds-keep-alive"]) as fake:
        fake.url = fake.sts_url
        fake.imds = fake.imds_addresses[0]
        yield fake


@pytest.fixture
def fake(running):
    running.reset()
    running.clear()
    yield running
    running.reset()


def sts(fake, keys=None, region="us-east-1", **config):
    """A boto3 STS client that tries once, by default with the host's credentials."""
    access_key, secret, *token = keys or host_keys(fake)
    return boto3.client(
        "sts", endpoint_url=fake.url, region_name=region, aws_access_key_id=access_key,
        aws_secret_access_key=secret, aws_session_token=token[0] if token else None,
        config=botocore.config.Config(retries={"max_attempts": 0}, read_timeout=5, **config))


def assume(fake, role=ROLE, name="session", keys=None, **parameters):
    return sts(fake, keys).assume_role(RoleArn=role, RoleSessionName=name, **parameters)


def keys_of(answer):
    found = answer["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


def refusal(call, *arguments, **parameters):
    """(code, status, message) of the error a boto3 call ends in."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response
    return (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"],
            error["Error"]["Message"])


def imds(fake, target, method="GET", **headers):
    """(status, headers, body) of one metadata request; header names with _ for -."""
    connection = http.client.HTTPConnection(fake.imds, timeout=5)
    try:
        connection.request(method, target,
                           headers={name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def imds_token(fake, ttl="21600"):
    return imds(fake, "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds=ttl)


def metadata(fake, path):
    status, _, body = imds(fake, path, X_aws_ec2_metadata_token=imds_token(fake)[2])
    assert status == 200, path
    return body


def host_keys(fake):
    found = json.loads(metadata(fake, "/latest/meta-data/iam/security-credentials/host-role"))
    return found["AccessKeyId"], found["SecretAccessKey"], found["Token"]


# IMDS

def test_imds_token_rules(fake):
    status, headers, token = imds_token(fake, "60")
    assert (status, len(token), token.strip()) == (200, 56, token)
    assert headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
    assert headers["Server"] == "EC2ws"
    for ttl in ("0", "21601", "-1", "abc", "", "1.5"):
        assert imds_token(fake, ttl)[0] == 400, ttl
    assert imds(fake, "/latest/api/token", "PUT")[0] == 400
    ttl = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}
    assert imds(fake, "/latest/api/token", "PUT", X_Forwarded_For="1.2.3.4", **ttl)[0] == 403
    assert imds(fake, "/2021-03-23/api/token", "PUT", **ttl)[0] == 403
    assert imds(fake, "/latest/api/token", "PUT", Expect="100-continue", **ttl)[0] == 417
    status, headers, body = imds(fake, "/latest/api/token")
    assert (status, headers["Allow"], body) == (405, "OPTIONS, PUT", "")


def test_imds_get_needs_a_token(fake):
    path = "/latest/meta-data/instance-id"
    assert imds(fake, path)[0] == 401
    assert imds(fake, path, X_aws_ec2_metadata_token="bad")[0] == 401
    token = {"X_aws_ec2_metadata_token": imds_token(fake)[2]}
    status, headers, body = imds(fake, path, **token)
    assert (status, body) == (200, "i-0123456789abcdef0")
    assert 21590 <= int(headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600
    assert imds(fake, path, X_Forwarded_For="1.2.3.4", **token)[0] == 403
    assert imds(fake, path, "POST", **token)[0] == 405
    status, headers, body = imds(fake, path, "HEAD", **token)
    assert (status, headers["Content-Length"], body) == (200, "19", "")
    short = imds_token(fake, "1")[2]
    time.sleep(1.1)
    assert imds(fake, path, X_aws_ec2_metadata_token=short)[0] == 401


def test_imds_optional_tokens_and_close():
    with FakeAWS(sts=None, options=["--imds-optional-tokens"]) as fake:
        fake.imds = fake.imds_addresses[0]
        status, headers, _ = imds(fake, "/latest/meta-data/")
        assert (status, headers["Connection"]) == (200, "close")
        assert imds(fake, "/latest/meta-data/", X_aws_ec2_metadata_token="bad")[0] == 401


def test_imds_tree(fake):
    assert metadata(fake, "/").split("\n")[0::28] == ["1.0", "latest"]
    assert metadata(fake, "/latest") == "dynamic\nmeta-data\nuser-data"
    assert metadata(fake, "/2009-04-04/meta-data/iam/") == \
        "info\nsecurity-credentials-extended/\nsecurity-credentials/"
    assert metadata(fake, "/latest/meta-data/iam/security-credentials/") == "host-role"
    assert metadata(fake, "//latest/meta-data//placement/region/?x=1") == "us-east-1"
    assert metadata(fake, "/latest/x/../meta-data/%69am/security-credentials") == "host-role"
    assert metadata(fake, "/latest/meta-data/public-keys/") == "0=host-key"
    mac = metadata(fake, "/latest/meta-data/mac")
    assert metadata(fake, f"/latest/meta-data/network/interfaces/macs/{mac}/vpc-id")[:4] == "vpc-"
    document = json.loads(metadata(fake, "/latest/dynamic/instance-identity/document"))
    assert document["accountId"] == "123456789012"
    token = imds_token(fake)[2]
    for path in ("/latest/meta-data/spot/instance-action", "/9999-01-01/", "/latest/nope"):
        status, headers, body = imds(fake, path, X_aws_ec2_metadata_token=token)
        assert (status, headers["Content-Type"], len(body)) == (404, "text/html", 339), path
        assert "X-aws-ec2-metadata-token-ttl-seconds" in headers


def test_imds_every_listed_name_answers(fake):
    """cloud-init walks the tree like this and gives up at the first error."""
    token = {"X_aws_ec2_metadata_token": imds_token(fake)[2]}

    def walk(path):
        status, _, body = imds(fake, path, **token)
        assert status == 200, path
        if not path.endswith("/"):
            return 1
        names = (name.split("=")[0] + "/" * ("=" in name) for name in body.split("\n"))
        return sum(walk(path + name) for name in names)

    assert walk("/latest/meta-data/") > 60
    assert walk("/latest/dynamic/") == 5


def test_imds_markers(fake):
    assert "HOSTUSERDATA" in metadata(fake, "/latest/user-data")
    for name in ("pkcs7", "signature", "rsa2048"):
        assert "HOSTSIGNATURE" in metadata(fake, f"/latest/dynamic/instance-identity/{name}")
    for path in ("iam/security-credentials/host-role",
                 "iam/security-credentials-extended/host-role",
                 "identity-credentials/ec2/security-credentials/ec2-instance"):
        body = metadata(fake, f"/latest/meta-data/{path}")
        assert body.startswith('{\n  "Code" : "Success",\n  "LastUpdated" : "')
        for marker in ("ASIAHOST", "HOSTSECRET", "HOSTTOKEN"):
            assert marker in body, path


def test_imds_records_what_came(fake):
    with socket.create_connection(fake.imds.split(":")) as sock:
        sock.sendall(b"GET /latest/%69d?q HTTP/1.1\r\nhOsT: x\r\nX-B: 2\r\nX-A:  1 \r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 401")
        sock.sendall(b"GET /smuggled HTTP/1.1\r\nContent-Length: 1\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")
    with socket.create_connection(fake.imds.split(":")) as sock:
        sock.sendall(b"G\x00T / HTTP/1.1\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 400")
    first, second, third = fake.requests("imds")
    assert first["target"] == "/latest/%69d?q"
    assert first["headers"] == [["hOsT", "x"], ["X-B", "2"], ["X-A", "1"]]
    assert first["peer"].startswith("127.0.0.1:")
    assert (second["target"], second["malformed"]) == ("/smuggled", "conflicting body lengths")
    assert third["target"].startswith("G\x00T") and third["malformed"] and third["status"] == 400


def test_imds_switches(fake):
    with fake.during(imds_error=[500, None]):
        assert imds_token(fake)[0] == 500
        assert imds_token(fake)[0] == 200
    with fake.during(imds_error={"status": 403, "path": "/latest/api/*"}):
        assert imds_token(fake)[0] == 403
        assert imds(fake, "/latest/")[0] == 401
    token = {"X_aws_ec2_metadata_token": imds_token(fake)[2]}
    with fake.during(imds_no_role=True):
        assert imds(fake, "/latest/meta-data/iam/security-credentials/", **token)[0] == 404
        assert "iam/" not in metadata(fake, "/latest/meta-data/")
    with fake.during(imds_delay_s=0.2):
        started = time.monotonic()
        imds(fake, "/")
        assert time.monotonic() - started >= 0.2
    with fake.during(imds_down=True), pytest.raises(ConnectionRefusedError):
        imds_token(fake)
    assert imds_token(fake)[0] == 200


def test_botocore_takes_host_credentials_from_imds(fake):
    from botocore.credentials import InstanceMetadataProvider
    from botocore.utils import InstanceMetadataFetcher
    found = InstanceMetadataProvider(InstanceMetadataFetcher(
        base_url=f"http://{fake.imds}/", env={})).load()
    assert found.access_key.startswith("ASIAHOST")
    identity = sts(fake, (found.access_key, found.secret_key, found.token)).get_caller_identity()
    assert identity["Arn"] == \
        "arn:aws:sts::123456789012:assumed-role/host-role/i-0123456789abcdef0"


# STS: the calls

def test_assume_role_and_who_am_i(fake):
    answer = assume(fake, DurationSeconds=900)
    keys = keys_of(answer)
    assert re.fullmatch("ASIA[A-Z2-7]{16}", keys[0]) and len(keys[1]) == 40 and len(keys[2]) == 900
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/web/session"
    left = answer["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert 895 < left.total_seconds() <= 900
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"] == request_id

    identity = sts(fake, keys).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert keys_of(assume(fake))[0:2] != keys[0:2]

    call = fake.requests("sts", action="AssumeRole")[0]
    assert (call["role"], call["session_name"], call["answer"]) == (ROLE, "session", "OK")
    assert call["parameters"]["DurationSeconds"] == "900"
    assert call["access_key"].startswith("ASIAHOST")
    assert (call["issued_access_key"], call["request_id"]) == (keys[0], request_id)
    assert fake.stats()["sts"]["answers"]["AssumeRole"] == {"OK": 2}
    assert keys[0] in [session["access_key_id"] for session in fake.sessions()]


def test_static_keys(fake):
    assert sts(fake, STATIC).get_caller_identity()["Arn"].endswith(":user/static")
    assert assume(fake, keys=STATIC, DurationSeconds=43200)["Credentials"]
    assert refusal(sts(fake, (*STATIC, "token")).get_caller_identity)[:2] == \
        ("InvalidClientTokenId", 403)


def test_parameters_at_their_limits(fake):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    answer = assume(
        fake, name="a+=,.@-_" * 8, ExternalId="x:/" * 400, SourceIdentity="s" * 64, Policy=policy,
        PolicyArns=[{"arn": f"arn:aws:iam::aws:policy/P{n}"} for n in range(10)],
        Tags=[{"Key": f"k{n}", "Value": ""} for n in range(49)] + [{"Key": "é ", "Value": "+ ="}],
        TransitiveTagKeys=["K1"])
    assert 0 < answer["PackedPolicySize"] <= 100
    assert answer["SourceIdentity"] == "s" * 64
    assert fake.requests("sts")[0]["parameters"]["Tags.member.50.Value"] == "+ ="


@pytest.mark.parametrize("code, message, parameters", [
    ("ValidationError", "length less than or equal to 64", {"RoleSessionName": "x" * 65}),
    ("ValidationError", "regular expression pattern: [\\w+=,.@-]*", {"RoleSessionName": "a b"}),
    ("ValidationError", "regular expression", {"RoleSessionName": "é" * 4}),
    ("ValidationError", "less than or equal to 43200", {"DurationSeconds": "43201"}),
    ("ValidationError", "greater than or equal to 900", {"DurationSeconds": "899"}),
    ("ValidationError", "1 hour session limit for roles assumed by role chaining",
     {"DurationSeconds": "3601"}),
    ("ValidationError", "is invalid", {"RoleArn": "arn:aws:iam::12:role/abcdefgh"}),
    ("ValidationError", "is invalid", {"RoleArn": "arn:aws-cn:iam::123456789012:role/x"}),
    ("ValidationError", "is invalid", {"RoleArn": "arn:aws:iam:::role/x"}),
    ("ValidationError", "2 validation errors", {"RoleArn": "x", "RoleSessionName": "y"}),
    ("ValidationError", "must not be null", {"RoleArn": None}),
    ("ValidationError", "Unknown parameter: Colour", {"Colour": "red"}),
    ("ValidationError", "Unknown parameter: Tags.member.01.Key", {"Tags.member.01.Key": "k"}),
    ("ValidationError", "tags.1.member.value", {"Tags.member.1.Key": "k"}),
    ("ValidationError", "sourceIdentity", {"SourceIdentity": "aws:me"}),
    ("ValidationError", "externalId", {"ExternalId": "x"}),
    ("MalformedInput", "not numbered", {"Tags.member.2.Key": "k", "Tags.member.2.Value": "v"}),
    ("InvalidParameterValue", "case insensitive",
     {"Tags.member.1.Key": "Team", "Tags.member.1.Value": "a",
      "Tags.member.2.Key": "team", "Tags.member.2.Value": "b"}),
    ("InvalidParameterValue", "transitive", {"TransitiveTagKeys.member.1": "k"}),
    ("MalformedPolicyDocument", "invalid Json", {"Policy": "{"}),
    ("MalformedPolicyDocument", "Syntax", {"Policy": "{}"}),
    ("PackedPolicyTooLarge", "%", {
        "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/" + "p" * 1000,
        "PolicyArns.member.2.arn": "arn:aws:iam::aws:policy/" + "q" * 1010}),
    ("InvalidAction", "Could not find operation", {"Version": "2010-01-01"}),
    ("InvalidAction", "Could not find operation", {"Action": "AssumeRoot"}),
    ("MissingAction", "missing an action", {"Action": None}),
])
def test_bad_parameters(fake, code, message, parameters):
    form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ROLE,
            "RoleSessionName": "session"} | parameters
    body = urllib.parse.urlencode({name: v for name, v in form.items() if v is not None})
    status, answer = send(fake, signed(fake, body))
    assert status == 400
    assert f"<Code>{code}</Code>" in answer and "<Type>Sender</Type>" in answer
    assert message in answer


def test_lenient_arns():
    with FakeAWS(imds=(), options=["--lenient-arns", "--static-key", ":".join(STATIC)]) as fake:
        fake.url = fake.sts_url
        answer = assume(fake, "arn:aws:iam:::role/x", keys=STATIC)
        assert answer["AssumedRoleUser"]["Arn"] == \
            "arn:aws:sts::123456789012:assumed-role/x/session"


def test_denied_roles(fake):
    fake.set(deny_roles=["arn:aws:iam::*:role/admin*"])
    assert refusal(assume, fake, "arn:aws:iam::123456789012:role/admin-1") == (
        "AccessDenied", 403,
        "User: arn:aws:sts::123456789012:assumed-role/host-role/i-0123456789abcdef0 is not "
        "authorized to perform: sts:AssumeRole on resource: "
        "arn:aws:iam::123456789012:role/admin-1")
    assert assume(fake)


# STS: signatures

GET_CALLER_IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


def signed(fake, body=GET_CALLER_IDENTITY, keys=None, region="us-east-1", service="sts"):
    """Header list and body of a request that botocore's signer signed."""
    import botocore.auth
    import botocore.credentials
    request = botocore.awsrequest.AWSRequest(
        "POST", fake.url + "/", data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                 "Host": fake.url.split("//")[1], "X-Spaces": "  two   blanks "})
    credentials = botocore.credentials.Credentials(*(keys or host_keys(fake)))
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers.items()), body


def send(fake, request, method="POST", target="/"):
    headers, body = request
    connection = http.client.HTTPConnection(fake.url.split("//")[1], timeout=5)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_signed_by_hand_passes(fake):
    assert send(fake, signed(fake))[0] == 200


def refused_as(answer, code):
    assert f"<Code>{code}</Code>" in answer[1], answer
    assert 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"' in answer[1]
    return answer[0]


@pytest.mark.parametrize("tamper", [
    lambda headers, body: (headers, body + "&x=y"),
    lambda headers, body: (headers | {"X-Spaces": "three"}, body),
    lambda headers, body: (headers | {"Host": "elsewhere"}, body),
    lambda headers, body: (headers | {"Authorization": headers["Authorization"][:-1] + "0"
                                      if headers["Authorization"][-1] != "0" else
                                      headers["Authorization"][:-1] + "1"}, body),
    lambda headers, body: (headers | {"Authorization": headers["Authorization"].replace(
        "host;", "")}, body),
    lambda headers, body: (headers | {"Authorization": headers["Authorization"].replace(
        "x-amz-security-token;", "")}, body),
    lambda headers, body: (headers | {"Authorization": headers["Authorization"].replace(
        "host;", "Host;")}, body),
    lambda headers, body: (headers | {"x-amz-meta": "unsigned"}, body),
    lambda headers, body: (headers | {"x-amz-content-sha256": "0" * 64}, body),
])
def test_tampered_requests(fake, tamper):
    assert refused_as(send(fake, tamper(*signed(fake))), "SignatureDoesNotMatch") == 403


def test_wrong_scope_and_secret(fake):
    for wrong in ({"region": "eu-west-1"}, {"service": "s3"}):
        status, answer = send(fake, signed(fake, **wrong))
        assert status == 403 and "Credential should be scoped to" in answer
    access_key, _, token = host_keys(fake)
    assert refusal(sts(fake, (access_key, "wrong", token)).get_caller_identity)[:2] == \
        ("SignatureDoesNotMatch", 403)
    assert fake.requests("sts", answer="SignatureDoesNotMatch")[-1]["detail"].startswith(
        "canonical request:\nPOST\n/\n")


def test_unknown_callers(fake):
    _, secret, token = host_keys(fake)
    other = keys_of(assume(fake))
    for keys in (("ASIANOBODY", secret, token), (*host_keys(fake)[:2], other[2]),
                 host_keys(fake)[:2]):
        assert refusal(sts(fake, keys).get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
    headers, body = signed(fake)
    del headers["Authorization"]
    assert refused_as(send(fake, (headers, body)), "MissingAuthenticationToken") == 403
    for authorization in ("Basic eDp5", "AWS4-HMAC-SHA256 Credential=x/y/z", "AWS4-HMAC-SHA256 x"):
        broken = headers | {"Authorization": authorization}
        assert refused_as(send(fake, (broken, body)), "IncompleteSignature") == 400
    assert refused_as(send(fake, signed(fake), target="/redirected"),
                      "UnknownOperationException") == 404


def test_clock(fake):
    fake.set(sts_clock_skew_s=1200)
    code, status, message = refusal(assume, fake)
    assert (code, status) == ("SignatureDoesNotMatch", 403)
    assert re.fullmatch(r"Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z "
                        r"\(\d{8}T\d{6}Z - 5 min\.\)", message)
    fake.set(sts_clock_skew_s=-1200)
    assert refusal(assume, fake)[2].startswith("Signature not yet current: ")
    fake.set(sts_clock_skew_s=290)
    answer = assume(fake)
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    ahead = http.client.email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    assert 280 < ahead < 300


def test_verifier_against_the_published_example():
    """The worked example of AWS's Signature Version 4 documentation (iam ListUsers)."""
    request = Request("GET", "/?Action=ListUsers&Version=2010-05-08", "HTTP/1.1", [
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("Host", "iam.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")], "", None)
    canonical = sigv4.canonical_request(
        request, ["content-type", "host", "x-amz-date"],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert hashlib.sha256(canonical.encode()).hexdigest() == \
        "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    key = sigv4.signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1",
                            "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


# STS: expiry

def test_expired_sessions_and_host_rotation(fake):
    fake.set(sts_session_lifetime_s=1)
    keys = keys_of(assume(fake))
    assert sts(fake, keys).get_caller_identity()
    fake.set(sts_clock_skew_s=2)
    assert refusal(sts(fake, keys).get_caller_identity)[:2] == ("ExpiredToken", 403)
    fake.reset()

    old = host_keys(fake)
    fake.rotate_host_credentials()
    assert host_keys(fake)[0] != old[0]
    assert refusal(assume, fake, keys=old)[0] == "ExpiredToken"
    assert assume(fake)
    assert fake.faults()["host_credentials_expire"] is False

    fake.set(host_credentials_lifetime_s=2, host_credentials_expire=True)
    before = host_keys(fake)
    time.sleep(1.1)  # past half its life IMDS shows the next one, and both are good
    assert host_keys(fake)[0] != before[0]
    assert assume(fake, keys=before)
    fake.rotate_host_credentials()


# STS: switches

def test_injected_errors(fake):
    fake.set(sts_error=["Throttling", None, {"code": "Odd", "status": 418, "message": "teapot"}])
    assert refusal(assume, fake) == ("Throttling", 400, "Rate exceeded")
    assert assume(fake)
    assert refusal(assume, fake) == ("Odd", 418, "teapot")
    assert assume(fake)
    fake.set(sts_fail_next=1)
    assert refusal(assume, fake)[:2] == ("InternalFailure", 500)
    assert assume(fake)
    fake.set(sts_error="AccessDenied", sts_fail_next=2)
    assert "is not authorized to perform" in refusal(assume, fake)[2]
    assert refusal(assume, fake)[0] == "AccessDenied"
    assert assume(fake)
    assert fake.faults()["sts_error"] is None
    fake.set(sts_error="RegionDisabledException", sts_only_roles=["*role/other"])
    assert assume(fake)
    assert refusal(assume, fake, "arn:aws:iam::123456789012:role/other")[:2] == \
        ("RegionDisabledException", 403)
    with pytest.raises(FakeAWSError, match="no such switch"):
        fake.set(sts_eror="x")
    with pytest.raises(FakeAWSError, match="bad value"):
        fake.set(sts_error="NoSuchCode")


def test_throttle(fake):
    fake.set(sts_throttle_per_second=2)
    client = sts(fake)
    answers = []
    for _ in range(6):
        try:
            client.assume_role(RoleArn=ROLE, RoleSessionName="session")
            answers.append("OK")
        except botocore.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"])
    assert answers[:2] == ["OK", "OK"] and answers.count("Throttling") >= 3


def test_broken_answers(fake):
    request = signed(fake)
    with fake.during(sts_http_status=503):
        assert send(fake, request)[0] == 503
    with fake.during(sts_garbage=True):
        with pytest.raises(botocore.parsers.ResponseParserError):
            assume(fake)
    with fake.during(sts_garbage="<plain/>"):
        assert send(fake, request) == (200, "<plain/>")
    with fake.during(sts_truncate=True), pytest.raises(http.client.IncompleteRead):
        send(fake, request)
    with fake.during(sts_oversize=300_000):
        assert len(send(fake, request)[1]) == 300_000
        assert assume(fake)
    with fake.during(sts_redirect="http://127.0.0.1:9/"):
        assert send(fake, request)[0] == 307
    with fake.during(sts_close=True), pytest.raises((ConnectionError, http.client.HTTPException)):
        send(fake, request)
    with fake.during(sts_down=True), pytest.raises(ConnectionRefusedError):
        send(fake, request)
    assert send(fake, request)[0] == 200


def test_answer_styles(fake):
    fake.set(sts_child_order="shuffled", sts_expiration_style="fraction", sts_token_bytes=10240)
    orders = set()
    request = signed(fake, urllib.parse.urlencode({
        "Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ROLE,
        "RoleSessionName": "session"}))
    for _ in range(20):
        answer = send(fake, request)[1]
        assert re.search(r"<Expiration>[\d-]{10}T[\d:]{8}\.123456789Z<", answer)
        orders.add(tuple(re.findall(r"<(\w+)>", answer)))
    assert len(orders) > 5
    keys = keys_of(assume(fake))
    assert len(keys[2]) == 10240
    assert sts(fake, keys).get_caller_identity()
    fake.set(sts_expiration_style="offset")
    assert "+00:00</Expiration>" in send(fake, request)[1]


def test_delay_hang_and_concurrency(fake):
    request = signed(fake)
    fake.set(sts_delay_s=0.5)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(96) as pool:
        answers = list(pool.map(lambda _: send(fake, request)[0], range(96)))
    assert answers == [200] * 96
    assert time.monotonic() - started < 2.5
    assert fake.stats()["sts"]["max_in_flight"] >= 64

    fake.set(sts_delay_s=0, sts_hang=True)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(send, fake, request)
        fake.wait_for("sts", action="GetCallerIdentity", answer=None)
        assert not pending.done()
        fake.set(sts_hang=False)  # lets the hanging call go on
        assert pending.result(5)[0] == 200


def test_keep_alive_and_chunks(fake):
    headers, body = signed(fake)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    chunked = (f"POST / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
               f"{len(body):x}\r\n{body}\r\n0\r\n\r\n").encode()
    plain = f"POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    host, port = fake.url.split("//")[1].split(":")
    with socket.create_connection((host, port), 5) as sock:
        sock.sendall(chunked + plain)  # pipelined
        seen = b""
        while seen.count(b"</GetCallerIdentityResponse>") < 2:
            seen += sock.recv(65536)
    assert seen.count(b"HTTP/1.1 200 OK") == 2


def test_tls(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    with FakeAWS(imds=(), tls=(tmp_path / "cert.pem", tmp_path / "key.pem"),
                 options=["--static-key", ":".join(STATIC), "--region", "cn-north-1"]) as fake:
        client = boto3.client("sts", endpoint_url=fake.sts_url, region_name="cn-north-1",
                              aws_access_key_id=STATIC[0], aws_secret_access_key=STATIC[1],
                              verify=str(tmp_path / "cert.pem"))
        answer = client.assume_role(RoleArn="arn:aws-cn:iam::123456789012:role/x",
                                    RoleSessionName="session")
        assert answer["AssumedRoleUser"]["Arn"].startswith("arn:aws-cn:sts:")


def test_stops_cleanly():
    fake = FakeAWS().start()
    admin_socket = pathlib.Path(fake.admin_socket)
    assert admin_socket.is_socket()
    assert fake.stop() == 0
    assert not admin_socket.exists()
    assert fake.stop() is None
    with pytest.raises(FakeAWSError, match="did not become ready"):
        FakeAWS(options=["--no-such-option"], stderr=subprocess.DEVNULL).start()
