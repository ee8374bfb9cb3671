"""rolegate doctor: a good host, and hosts broken one way each."""

import json
import pathlib
import signal

import pytest
from host import ROLE, Host, binary

NARROW = {"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web", ROLE + "team/*"],
                                   "images": ["registry.example.com/*"]}]}
IMAGE = {"ref": "registry.example.com/web:1"}


def doctor(host, *arguments, json_too=True):
    """({check: [(level, text)]}, exit status) of a run on that host."""
    command = [binary("rolegate"), "--config", host.config, *(["--json"] if json_too else []), "doctor", *arguments]
    result = host.netns.run(command, check=False)
    if not json_too:
        return result.stdout, result.returncode
    answer = json.loads(result.stdout)
    found = {}
    for one in answer["checks"]:
        found.setdefault(one["check"], []).append((one["level"], one["text"]))
        assert (one["do"] is None) == (one["level"] == "ok"), "each finding says what to do"
    assert answer["ok"] == (result.returncode == 0)
    return found, result.returncode


def levels(found, check):
    return {level for level, _ in found[check]}


@pytest.fixture(scope="module")
def good():
    with Host(policy=NARROW) as host:
        host.fake.set(imds_hop_limit=1)
        for name in ("a", "b"):
            host.container(name)
            host.register(name, "web", image=IMAGE)
        yield host


@pytest.fixture(autouse=True)
def as_it_was(request):
    yield
    if "good" in request.fixturenames:
        host = request.getfixturevalue("good")
        host.fake.reset()
        host.fake.set(imds_hop_limit=1)


def test_a_good_host_passes(good):
    found, code = doctor(good)
    assert code == 0
    assert all(levels(found, check) == {"ok"} for check in found), found
    assert set(found) == {"user", "netd", "rolegated", "role", "rules", "imds", "hop-limit", "sts", "clock", "policy",
                          "container", "capability"}
    assert "2 containers probed" in found["container"][0][1]


def test_it_fits_one_screen(good):
    text, code = doctor(good, json_too=False)
    lines = text.splitlines()
    assert code == 0 and len(lines) <= 24
    assert lines[-1].startswith("Nothing fails") and all(len(line) <= 120 for line in lines), text


def test_imdsv1_is_answered(good):
    good.fake.set(imds_optional_tokens=True)
    found, code = doctor(good)
    assert code == 1 and levels(found, "imds") == {"fail"} and "IMDSv1" in found["imds"][0][1]


def test_hop_limit_of_two(good):
    good.fake.set(imds_hop_limit=2)
    found, code = doctor(good)
    assert code == 0 and levels(found, "hop-limit") == {"warn"}


def test_imds_is_off(good):
    good.fake.set(imds_down=True)
    found, code = doctor(good)
    assert code == 1 and levels(found, "imds") == {"fail"} and "hop-limit" not in found


def test_sts_is_away(good):
    good.fake.set(sts_down=True)
    found, code = doctor(good)
    assert code == 1 and levels(found, "sts") == {"fail"} and "clock" not in found


@pytest.mark.parametrize("skew, level", [(120, "warn"), (-120, "warn"), (900, "fail"), (-900, "fail")])
def test_the_clock_is_wrong(good, skew, level):
    good.fake.set(sts_clock_skew_s=skew)
    found, code = doctor(good)
    assert levels(found, "clock") == {level} and code == (level == "fail")
    assert ("behind" if skew > 0 else "ahead of") in found["clock"][0][1]


@pytest.mark.parametrize("rule, level", [
    ({"roles": [ROLE + "*"]}, "fail"),
    ({"roles": [ROLE + "*"], "images": ["*"]}, "fail"),
    ({"roles": [ROLE + "web", ROLE[:-5] + "*"]}, "fail"),
    ({"roles": [ROLE + "*"], "labels": {"team": "web"}}, "warn"),
    ({"roles": [ROLE + "web*"]}, "ok"),
])
def test_the_policy_is_too_wide(good, rule, level):
    good.set_policy({"version": 1, "rules": [{"name": "wide", **rule}]})
    found, code = doctor(good)
    good.set_policy(NARROW)
    assert levels(found, "policy") == {level} and code == (level == "fail"), found


def test_no_policy(good):
    good.policy_file.rename(good.policy_file.with_suffix(".away"))
    found, code = doctor(good)
    good.policy_file.with_suffix(".away").rename(good.policy_file)
    assert code == 1 and levels(found, "policy") == {"fail"}


@pytest.mark.parametrize("capability, level", [("net_admin", "warn"), ("net_raw", "warn"), ("sys_admin", "fail")])
def test_a_container_has_too_many_capabilities(good, capability, level):
    process = good.containers["a"].netns.popen(
        ["setpriv", "--bounding-set", f"-all,+{capability}", "--inh-caps", "-all", "sleep", "60"])
    try:
        good.wait(lambda: pathlib.Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", "the process")
        found, code = doctor(good)
        assert levels(found, "capability") == {level} and code == (level == "fail"), found
        assert f"CAP_{capability.upper()}" in found["capability"][0][1] and found["capability"][0][1].startswith("a ")
    finally:
        process.kill()
        process.wait()


def test_rules_of_a_container_are_flushed(good):
    """It reaches nothing then, for the host's rules hold: but it is no longer served, and someone could flush."""
    good.container("flushed")
    good.register("flushed", "web", image=IMAGE)
    for tool in ("iptables", "ip6tables"):
        for table in ("nat", "filter"):
            good.containers["flushed"].netns.run([tool, "-t", table, "-F", "OUTPUT"])
    found, code = doctor(good)
    good.unregister("flushed")
    assert code == 1
    bad = [text for level, text in found["container"] if level == "fail"]
    assert bad and all(text.startswith("flushed: ") for text in bad) and "rules" in bad[0]
    assert not any("leads past" in text for text in bad)


def test_a_way_to_the_hosts_metadata(good):
    """Neither the container's rules nor the host's: the probe itself finds the way, by IPv4 and IPv6."""
    c = good.container("open")
    good.register("open", "web", image=IMAGE)
    good.netd.process.send_signal(signal.SIGSTOP)  # it would put the host's rules back
    try:
        for netns, chains in ((c.netns, (("nat", "OUTPUT"), ("filter", "OUTPUT"))),
                              (good.netns, (("raw", "PREROUTING"), ("filter", "FORWARD")))):
            for table, chain in chains:
                for tool in ("iptables", "ip6tables"):
                    netns.run([tool, "-t", table, "-F", chain])
        found, code = doctor(good)
    finally:
        good.netd.process.send_signal(signal.SIGCONT)
    good.unregister("open")
    assert code == 1
    text = next(text for level, text in found["container"] if level == "fail" and text.startswith("open: port 80"))
    assert "169.254.169.254" in text and "fd00:ec2::254" in text
    assert levels(found, "rules") == {"fail"}
    good.wait(lambda: doctor(good)[1] == 0, "netd to put the rules back")


def test_something_answers_on_another_port(good):
    """As a second metadata service on the host might."""
    good.containers["b"].netns.run(["ip", "addr", "add", "169.254.170.2/32", "dev", "lo"])
    with good.containers["b"].netns.socket() as listener:
        listener.bind(("169.254.170.2", 8080))
        listener.listen()
        for table in ("filter",):
            good.containers["b"].netns.run(["iptables", "-t", table, "-I", "OUTPUT", "1", "-o", "lo", "-j", "ACCEPT"])
        found, code = doctor(good)
    good.containers["b"].netns.run(["iptables", "-t", "filter", "-D", "OUTPUT", "-o", "lo", "-j", "ACCEPT"])
    good.containers["b"].netns.run(["ip", "addr", "del", "169.254.170.2/32", "dev", "lo"])
    assert code == 1 and any("another port of 169.254.170.2" in text for _, text in found["container"]), found


def test_roles_that_are_denied_and_containers_that_are_gone(good):
    good.fake.set(deny_roles=["*team/no"])
    good.container("denied")
    good.put("denied", "team/no", image=IMAGE)
    found, code = doctor(good)
    good.unregister("denied")
    assert code == 1 and levels(found, "role") == {"fail"}
    assert found["role"][0][1].startswith("denied is denied: ") and "AccessDenied" in found["role"][0][1]


def test_daemons_are_away():
    with Host(policy=NARROW) as host:
        host.fake.set(imds_hop_limit=1)
        host.netd.stop()
        host.wait(lambda: host.api("GET", "/readyz")[0] == 503, "rolegated to notice")
        found, code = doctor(host)
        assert code == 1 and levels(found, "netd") == {"fail"} and levels(found, "rolegated") == {"fail"}
        assert "not ready" in found["rolegated"][0][1]
        assert levels(found, "rules") == {"ok"}, "they stay without it"
        host.daemon.stop()
        found, code = doctor(host)
        assert code == 1 and "not reachable" in found["rolegated"][0][1] and levels(found, "sts") == {"ok"}
        host.start()


def test_protect_host_does_not_hide_the_metadata_from_it():
    with Host({"intercept": {"protect_host": "yes"}}, policy=NARROW) as host:
        host.fake.set(imds_hop_limit=1)
        found, code = doctor(host)
        assert code == 0 and levels(found, "imds") == {"ok"} and levels(found, "rules") == {"ok"}, found


def test_rules_that_were_hit_are_counted(good):
    c = good.container("escaping")  # not registered: only the host's rules are between it and the credentials
    with pytest.raises(OSError):
        c.netns.connect("169.254.169.254", 80, timeout=1)
    found, _ = doctor(good)
    counted = [int(text.split("stopped ")[1].split()[0]) for _, text in found["rules"] if text.startswith("IPv4")]
    assert counted[0] > 0


def test_someone_who_is_not_root_is_told_what_was_not_looked_at(good):
    result = good.netns.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                             binary("rolegate"), "--config", good.config, "--json", "doctor"], check=False)
    found = {(one["check"], one["level"]) for one in json.loads(result.stdout)["checks"]}
    assert ("rules", "warn") in found and ("container", "warn") in found


def test_bad_configuration(good, tmp_path):
    (tmp_path / "bad.conf").write_text("[aws]\nregoin = x\n")
    result = good.netns.run([binary("rolegate"), "--config", str(tmp_path / "bad.conf"), "doctor"], check=False)
    assert result.returncode == 1 and "regoin" in result.stderr
