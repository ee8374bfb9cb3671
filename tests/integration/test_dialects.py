"""Container credentials the way of ECS (169.254.170.2) and of EKS (169.254.170.23, fd00:ec2::23); contract section 4."""

import json
import os
import re

import pytest
from host import Host

ECS, EKS, EKS6, IMDS = "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "169.254.169.254"
URI, FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"


@pytest.fixture(scope="module")
def pair():
    with Host() as host:
        host.container("a")
        host.container("b")
        host.environments = {"a": host.register("a", "team/web")["environment"],
                             "b": host.register("b", "batch")["environment"]}
        yield host


def ecs(host, name):
    return host.environments[name]["ecs"][URI]


def bearer(host, name):
    return {"Authorization": host.environments[name]["eks"][TOKEN]}


def test_the_environment_that_registering_returns(pair):
    environment = pair.environments["a"]
    assert set(environment) == {"ecs", "eks"}
    assert re.fullmatch(r"/v2/credentials/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", ecs(pair, "a"))
    assert environment["eks"][FULL] == "http://169.254.170.23/v1/credentials"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", environment["eks"][TOKEN])
    for one in environment.values():
        assert one["AWS_REGION"] == one["AWS_DEFAULT_REGION"] == "us-east-1"
    # The same registration again tells the same; the role map, which many may read, does not tell.
    assert pair.register("a", "team/web", expect=200)["environment"] == environment
    for text in (json.dumps(pair.show("a")), json.dumps(pair.api("GET", "/v1/containers")[1]), pair.daemon.text()):
        assert environment["eks"][TOKEN] not in text and ecs(pair, "a") not in text
    assert ecs(pair, "a") != ecs(pair, "b") and bearer(pair, "a") != bearer(pair, "b")


def test_ecs_credentials(pair):
    a = pair.containers["a"]
    status, headers, body = a.request("GET", ecs(pair, "a"), address=ECS)
    document = json.loads(body)
    assert status == 200 and "json" in headers["Content-Type"] and len(body) < 10000
    assert list(document) == ["RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]
    assert document["RoleArn"].endswith(":role/team/web")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["Expiration"])
    assert document["AccessKeyId"] == a.credentials()["AccessKeyId"] == pair.show("a")["access_key_id"]
    status, _, v1 = a.request("GET", "/v1/credentials?id=" + ecs(pair, "a").split("/")[-1], address=ECS)
    assert status == 200 and v1 == body


@pytest.mark.parametrize("path, code", [
    ("/v2/credentials/nonsense", "InvalidIdInRequest"), ("/v2/credentials/", "NoIdInRequest"),
    ("/v2/credentials", "NoIdInRequest"), ("/v1/credentials", "NoIdInRequest"), ("/v1/credentials?id=", "NoIdInRequest"),
    ("/v1/credentials?id=00000000-0000-0000-0000-000000000000", "InvalidIdInRequest"),
    ("/v2/credentials/%00", None), ("/v2/credentials/" + "a" * 1000, None),
])
def test_ecs_errors(pair, path, code):
    status, headers, body = pair.containers["a"].request("GET", path, address=ECS)
    if code is None:
        assert status in (400, 404)
        return
    document = json.loads(body)
    assert status == 400 and "json" in headers["Content-Type"]
    assert document["code"] == code and document["message"] and document["HTTPErrorCode"] == 400


def test_anothers_secrets_are_worth_nothing(pair):
    a = pair.containers["a"]
    status, _, body = a.request("GET", ecs(pair, "b"), address=ECS)
    assert status == 400 and json.loads(body)["code"] == "InvalidIdInRequest"
    status, _, body = a.request("GET", "/v1/credentials", bearer(pair, "b"), address=EKS)
    assert status == 400 and b"AccessKeyId" not in body


@pytest.mark.parametrize("address", [EKS, EKS6])
def test_eks_credentials(pair, address):
    a = pair.containers["a"]
    status, headers, body = a.request("GET", "/v1/credentials", bearer(pair, "a"), address=address)
    document = json.loads(body)
    assert status == 200 and "json" in headers["Content-Type"] and len(body) < 10000
    assert list(document) == ["AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration"]
    assert document["AccountId"] == "123456789012" and document["AccessKeyId"] == pair.show("a")["access_key_id"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "x"}, {"Authorization": "A" * 43}])
def test_eks_without_its_token(pair, headers):
    status, answer, body = pair.containers["a"].request("GET", "/v1/credentials", headers, address=EKS)
    assert status == 400 and answer["Content-Type"].startswith("text/plain") and b"AccessKeyId" not in body


@pytest.mark.parametrize("address, host", [
    (ECS, "evil.example"), (ECS, IMDS), (ECS, EKS), (EKS, "evil.example"), (EKS, "localhost"), (EKS, IMDS), (EKS, ECS),
    (EKS6, "[::1]"), (EKS6, "[fd00:ec2::254]"), (IMDS, ECS), (IMDS, EKS),
])
def test_the_host_must_be_the_services_own(pair, address, host):
    a = pair.containers["a"]
    for path in (ecs(pair, "a"), "/v1/credentials"):
        status, _, body = a.request("GET", path, {"Host": host, **bearer(pair, "a")}, address=address)
        assert status == 403 and b"AccessKeyId" not in body


def test_each_service_knows_its_own_paths_only(pair):
    a = pair.containers["a"]
    token = {"X-aws-ec2-metadata-token": a.token(), **bearer(pair, "a")}
    for path in (ecs(pair, "a"), "/v1/credentials", "/v2/credentials/"):
        assert a.request("GET", path, token)[0] == 404
    for address in (ECS, EKS, EKS6):
        for path in ("/", "/latest/", "/latest/meta-data/iam/security-credentials/web", "/latest/user-data", "/v3/x"):
            status, _, body = a.request("GET", path, token, address=address)
            assert status == 404 and b"AccessKeyId" not in body
        assert a.request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, address=address)[0] == 404
    assert a.request("GET", ecs(pair, "a"), token, address=EKS)[0] == 404


def test_methods_and_forwarded_requests(pair):
    a = pair.containers["a"]
    for address, path in ((ECS, ecs(pair, "a")), (EKS, "/v1/credentials")):
        for method in ("POST", "PUT", "DELETE"):
            assert a.request(method, path, bearer(pair, "a"), address=address)[0] == 405
        status, _, body = a.request("HEAD", path, bearer(pair, "a"), address=address)
        assert (status, body) == (200, b"")
        assert a.request("GET", path, {"X-Forwarded-For": "", **bearer(pair, "a")}, address=address)[0] == 403


def test_before_there_are_credentials_and_when_there_never_will_be(host):
    host.fake.set(sts_hang=True)
    c = host.container("c")
    assert host.put("c", wait_s=0)[0] == 504
    host.wait(lambda: host.show("c")["netns_inode"], "the interception")
    # Whoever starts the container all the same asks for what to give it.
    status, environment = host.api("GET", "/v1/containers/c/environment")
    assert status == 200 and environment["ecs"][URI]
    calls = ((ECS, environment["ecs"][URI], {}), (EKS, "/v1/credentials", {"Authorization": environment["eks"][TOKEN]}))
    for address, path, headers in calls:
        status, answer, body = c.request("GET", path, headers, address=address)
        assert status == 503 and answer["Retry-After"]
    assert json.loads(c.request("GET", environment["ecs"][URI], address=ECS)[2])["code"] == "CredentialsUninitialized"
    host.fake.set(deny_roles=["*"], sts_hang=False)
    host.wait(lambda: host.show("c")["state"] == "denied", "the refusal")
    for address, path, headers in calls:
        status, _, body = c.request("GET", path, headers, address=address)
        assert status == 403 and b"AccessKeyId" not in body
    assert host.api("GET", "/v1/containers/nobody/environment")[0] == 404
    assert host.api("PUT", "/v1/containers/c/environment", {})[0] == 405


def test_they_survive_restarts_and_end_with_the_registration(host):
    c = host.container("c")
    before = host.register("c")["environment"]
    host.daemon.stop()
    host.start_daemon()
    assert host.register("c", expect=200)["environment"] == before
    status, _, _ = c.request("GET", before["ecs"][URI], address=ECS)
    assert status == 200
    host.unregister("c")
    after = host.register("c")["environment"]
    assert after != before
    assert c.request("GET", before["ecs"][URI], address=ECS)[0] == 400
    assert c.request("GET", "/v1/credentials", {"Authorization": before["eks"][TOKEN]}, address=EKS)[0] == 400
    assert c.request("GET", after["ecs"][URI], address=ECS)[0] == 200


def test_the_region_is_the_containers(host):
    host.container("c")
    environment = host.register("c", metadata={"availability-zone": "eu-west-1b"})["environment"]
    assert environment["ecs"]["AWS_REGION"] == environment["eks"]["AWS_REGION"] == "eu-west-1"


BOTO3 = "import boto3; c = boto3.Session().get_credentials(); print(c.method, c.access_key)"


def test_boto3_with_the_environment_of_ecs(pair):
    environment = pair.environments["a"]["ecs"]
    result = pair.containers["a"].netns.run(["/usr/bin/python3", "-c", BOTO3],
                                            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment})
    assert result.stdout.split() == ["container-role", pair.show("a")["access_key_id"]]
