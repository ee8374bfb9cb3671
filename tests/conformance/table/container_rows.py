"""Cases 80 to 91: the ECS and EKS dialects of container credentials."""

import json

from table.row import ADDRESSES, Answer, Row, by, by_v4, contains, exchange, is_, once, parse
from table.world import environment

ECS = "169.254.170.2"
EKS = {ADDRESSES["v4"]: "169.254.170.23", ADDRESSES["v6"]: "fd00:ec2::23"}


def uri(world, name="c"):
    return world.environment(name)["ecs"]["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]


def bearer(world, name="c"):
    return {"Authorization": world.environment(name)["eks"]["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}


def ask(world, path, headers=None, address=ECS, method="GET"):
    return Answer(*world.containers["c"].request(method, path, headers or {}, address))


def own(world, _):
    """GET 169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, no Authorization"""
    return ask(world, uri(world))


def own_v1(world, _):
    """GET 169.254.170.2/v1/credentials?id=ID, the older form"""
    return ask(world, "/v1/credentials?id=" + uri(world).rsplit("/", 1)[1])


def by_http_1_0(world, _):
    """The same by HTTP/1.0 with Host"""
    data = f"GET {uri(world)} HTTP/1.0\r\nHost: {ECS}\r\n\r\n".encode()
    return parse(exchange(world.containers["c"], data, ECS)[0])


def bad_id(world, _):
    """GET 169.254.170.2/v2/credentials/ and an id that nobody has"""
    return ask(world, "/v2/credentials/" + "0" * 40)


def cut_id(world, _):
    """GET the own path without its last character"""
    return ask(world, uri(world)[:-1])


def others_id(world, _):
    """GET the path that container other has"""
    return ask(world, uri(world, "other"))


def no_id(world, _):
    """GET 169.254.170.2/v2/credentials/"""
    return ask(world, "/v2/credentials/")


def pending(world, _):
    """The STS hangs from the beginning: GET the own path"""
    with world.fresh() as host:
        host.fake.set(sts_hang=True)
        c = host.container("c")
        host.put("c", wait_s=1)
        path = environment(host, "c")["ecs"]["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
        answer = Answer(*c.request("GET", path, {}, ECS))
        host.fake.reset()
        return answer


def posted(world, _):
    """POST to the own path"""
    return ask(world, uri(world), method="POST")


def forwarded(world, _):
    """GET the own path with X-Forwarded-For"""
    return ask(world, uri(world), {"X-Forwarded-For": "10.0.0.1"})


def pod(world, address):
    """GET EKS/v1/credentials with the token that registering returned"""
    return ask(world, "/v1/credentials", bearer(world), EKS[address])


def pod_without(world, address):
    """GET EKS/v1/credentials without Authorization"""
    return ask(world, "/v1/credentials", {}, EKS[address])


def pod_bad(world, address):
    """GET EKS/v1/credentials with a token that nobody has"""
    return ask(world, "/v1/credentials", {"Authorization": "abc"}, EKS[address])


def pod_others(world, address):
    """GET EKS/v1/credentials with container other's token"""
    return ask(world, "/v1/credentials", bearer(world, "other"), EKS[address])


def pod_twice(world, address):
    """GET EKS/v1/credentials with the good token and another"""
    token = bearer(world)["Authorization"]
    return ask(world, "/v1/credentials", {"Authorization": [token, "abc"]}, EKS[address])


def pod_host(world, address):
    """GET EKS/v1/credentials, good token, Host: evil.com"""
    return ask(world, "/v1/credentials", bearer(world) | {"Host": "evil.com"}, EKS[address])


def ecs_by_imds(world, _):
    """GET the own ECS path from 169.254.169.254"""
    return ask(world, uri(world), address=ADDRESSES["v4"])


def imds_by_ecs(world, _):
    """GET 169.254.170.2/latest/meta-data/"""
    return ask(world, "/latest/meta-data/")


def is_ecs(answer):
    return list(json.loads(answer.body)) == ["RoleArn", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"]


def is_eks(answer):
    document = json.loads(answer.body)
    return (list(document) == ["AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration"]
            and document["AccountId"] == "123456789012")


def has_code(code):
    def holds(answer):
        error = json.loads(answer.body)
        return error["code"] == code and error["message"] and "Code" not in error

    return is_(f"code {code}", holds)


small = is_("under 10000 bytes", lambda a: len(a.body) < 10000)
json_type = is_("Content-Type with json", lambda a: "json" in a.headers["Content-Type"])
no_keys = is_("no credentials", lambda a: b"AccessKeyId" not in a.body)

ROWS = [
    Row(80, by_v4(own), 200, is_("ECS's five keys", is_ecs), json_type),
    Row("80 more", by_v4(own_v1), 200, is_("ECS's five keys", is_ecs)),
    Row("80 more", by_v4(by_http_1_0), 200, is_("ECS's five keys", is_ecs)),
    Row(81, by_v4(bad_id), 400, has_code("InvalidIdInRequest")),
    Row("81 more", by_v4(cut_id), 400, has_code("InvalidIdInRequest")),
    Row(82, by_v4(others_id), 400, has_code("InvalidIdInRequest")),
    Row(83, by_v4(no_id), 400, has_code("NoIdInRequest")),
    Row(84, once(pending), 503, has_code("CredentialsUninitialized"), json_type),
    Row("84 more", by_v4(posted), 405, no_keys),
    Row("84 more", by_v4(forwarded), 403, no_keys),
    Row(85, by_v4(own), 200, contains("AccessKeyId")),
    Row(86, by(pod), 200, is_("EKS's keys with AccountId", is_eks)),
    Row(87, by(pod_without), {400, 401}, no_keys),
    Row(87, by(pod_bad), {400, 401}, no_keys),
    Row("87 more", by(pod_others), {400, 401}, no_keys),
    Row("87 more", by(pod_twice), {400, 401}, no_keys),
    Row(88, by(pod_host), 403, no_keys),
    Row("88 more", by_v4(ecs_by_imds), {401, 404}, no_keys),
    Row("88 more", by_v4(imds_by_ecs), {400, 404}, no_keys),
    Row(89, by_v4(own), small),
    Row(89, by(pod), small),
    Row(90, by_v4(own), json_type),
    Row(90, by(pod), json_type),
    Row(91, by_v4(bad_id), has_code("InvalidIdInRequest"), json_type),
]
