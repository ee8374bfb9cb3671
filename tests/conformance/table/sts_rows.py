"""Cases 92 to 100: the STS, and clients as a whole."""

import subprocess

from clients import CLIENTS, finished, started
from host import BUILD
from table.row import Row, got, is_, once


def strict(world, _):
    """Register; the strict STS checks signature and parameters: its answers."""
    with world.fresh() as host:
        host.container("c")
        host.register("c", session_tags={"team": "web + co/ü"}, external_id="a/b:c", source_identity="alice",
                      transitive_tag_keys=["team"])
        return [(r["action"], r["status"]) for r in host.fake.requests("sts")]


def throttled(world, _):
    """The STS answers Throttling (400) three times: register; its state, milliseconds between the calls."""
    with world.fresh() as host:
        host.fake.set(sts_error="Throttling", sts_fail_next=3)
        host.container("c")
        host.register("c", wait_s=60)
        times = [r["time"] for r in host.fake.requests("sts")]
        return [host.show("c")["state"], [round(1000 * (b - a)) for a, b in zip(times, times[1:])]]


def skewed(world, _):
    """The STS's clock is 20 minutes ahead: register; calls. Another registration; calls."""
    with world.fresh() as host:
        host.fake.set(sts_clock_skew_s=1200)
        counts = []
        for name in ("a", "b"):
            host.container(name)
            host.register(name, name)
            counts.append([r["status"] for r in host.fake.requests("sts")])
        return counts


def expired(world, _):
    """The host's credentials end early (ExpiredToken): register; its state, host credentials fetched again."""
    with world.fresh() as host:
        host.container("a")
        host.register("a", "a")
        host.fake.rotate_host_credentials()
        host.fake.clear()
        host.container("b")
        host.register("b", "b")
        fetched = [r for r in host.fake.requests("imds") if r["target"].endswith("/host-role")]
        return [host.show("b")["state"], len(fetched)]


def long_names(world, _):
    """Register two containers with ids of 128 characters that differ in the last: their session names."""
    with world.fresh() as host:
        names = []
        for last in "ab":
            container_id = "x" * 127 + last
            netns = host.container(f"n{last}").netns.path
            host.register(container_id, netns=netns)
            names.append(host.show(container_id)["session_name"])
        return {"lengths": [len(n) for n in names], "different": names[0] != names[1]}


def partitions(world, _):
    """Region cn-north-1 and a role of aws-cn; us-gov-west-1: the scope signed for, the role assumed."""
    seen = []
    for region, partition in (("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")):
        role = f"arn:{partition}:iam::123456789012:role/x"
        policy = {"version": 1, "rules": [{"name": "all", "roles": [f"arn:{partition}:iam::123456789012:role/*"]}]}
        with world.fresh(config={"aws": {"region": region}}, policy=policy,
                         fake_options=["--region", region]) as host:
            host.container("c")
            host.register("c", role)
            call = host.fake.requests("sts")[0]
            scope = next(value for name, value in call["headers"] if name.lower() == "authorization")
            seen.append([scope.split("Credential=")[1].split(",")[0].split("/")[2], call["role"]])
    return seen


def endpoints(world, _):
    """Endpoints of every partition: the unit test tests/unit/test_sts_endpoint.c; its exit code."""
    return subprocess.run([BUILD / "tests" / "test_sts_endpoint"], capture_output=True).returncode


def shapes(world, _):
    """The STS shuffles its elements, Expiration has nanoseconds: GET credentials; its Expiration's length, end."""
    with world.fresh() as host:
        host.fake.set(sts_child_order="shuffled", sts_expiration_style="fraction")
        c = host.container("c")
        host.register("c")
        text = c.credentials()["Expiration"]
        return [len(text), text[-1]]


def big_token(world, _):
    """The STS gives a session token of 10 KiB: GET credentials; its length, and whether the STS takes it."""
    with world.fresh() as host:
        host.fake.set(sts_token_bytes=10240)
        c = host.container("c")
        host.register("c")
        with started(c, CLIENTS[0].program(), ENDPOINT="http://10.99.0.1:8000") as process:
            arn = finished(process)["arn"]
        return [len(c.credentials()["Token"]), arn.endswith("/rolegate-c")]


def every_client(world, _):
    """Every client of Debian's that can ask the STS who it is; see also test_sdk.py: those that are wrong."""
    wrong = []
    for client in (c for c in CLIENTS if c.calls == "sts"):
        name = "c" if client.tokens == "required" else "optional"
        with started(world.containers[name], client.program(), ENDPOINT="http://10.99.0.1:8000") as process:
            if not finished(process)["arn"].endswith(f"/rolegate-{name}"):
                wrong.append(client.name)
    return wrong


ROWS = [
    Row(92, once(strict), got([("AssumeRole", 200)])),
    Row(93, once(throttled), is_("ready; three times 100 ms or more, drawn at random",
                                  lambda r: r[0] == "ready" and len(r[1]) == 3 and min(r[1]) >= 100)),
    Row(94, once(skewed), got([[403, 200], [403, 200, 200]])),
    Row(95, once(expired), got(["ready", 1])),
    Row(96, once(long_names), got({"lengths": [64, 64], "different": True})),
    Row(97, once(partitions), got([["cn-north-1", "arn:aws-cn:iam::123456789012:role/x"],
                                    ["us-gov-west-1", "arn:aws-us-gov:iam::123456789012:role/x"]])),
    Row("97 more", once(endpoints), got(0)),
    Row(98, once(shapes), got([20, "Z"])),
    Row(99, once(big_token), is_("10240 bytes or more, taken", lambda r: r[0] >= 10240 and r[1])),
    Row(100, once(every_client), got([])),
]
