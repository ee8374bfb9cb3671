"""rolegate(1) against a fake control server: every verb, every exit code, the table.

Odd replies, events and the policy check have files of their own, test_cli_*.py.
"""

import contextlib
import datetime
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest
from cli_fixtures import DENIED, DONE, FAILED, ROLEGATE, UNREACHABLE, USAGE
from cli_fixtures import cli, daemon, on_terminal  # noqa: F401 (fixtures)
from fake_control import error, reply

ROLE = "arn:aws:iam::123456789012:role/team/web"


def in_future(**kwargs):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**kwargs)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def container(name="web-1", **changes):
    return {
        "id": name,
        "role_arn": ROLE,
        "session_name": f"rolegate-{name}",
        "state": "ready",
        "access_key_id": "ASIAEXAMPLE",
        "expiration": in_future(minutes=43, seconds=30),
        "last_refresh": in_future(minutes=-17),
        "last_error": None,
        "requests": 12,
        "netns": "/proc/4242/ns/net",
        "pid": 4242,
        "image": {"ref": "registry.example.com/web:1", "digest": None},
        "labels": {"team": "web"},
        "registered_at": in_future(hours=-1),
        **changes,
    }


# roles


def test_roles_table(daemon, cli):
    server = daemon(
        reply(
            200,
            {
                "containers": [
                    container("web-10", requests=3),
                    container("web-2", requests=123456, role_arn=ROLE + "-long"),
                    container("db", state="failing", expiration=None, last_error="Throttling: slow down"),
                ]
            },
        )
    )
    result = cli("roles")
    assert (result.returncode, result.stderr) == (DONE, "")
    assert result.stdout.splitlines() == [
        "ID      STATE    ROLE           EXPIRES    REQUESTS  IMAGE                       LAST ERROR",
        "db      failing  team/web       -                12  registry.example.com/web:1  Throttling: slow down",
        "web-2   ready    team/web-long  in 43 min    123456  registry.example.com/web:1  -",
        "web-10  ready    team/web       in 43 min         3  registry.example.com/web:1  -",
    ]
    assert [(r.method, r.path) for r in server.requests] == [("GET", "/v1/containers")]
    assert server.requests[0].headers["host"] == "localhost"


def test_roles_of_several_accounts(daemon, cli):
    other = "arn:aws:iam::210987654321:role/db"
    daemon(reply(200, {"containers": [container(), container("db", role_arn=other)]}))
    output = cli("roles").stdout
    assert "123456789012:team/web" in output and "210987654321:db" in output


@pytest.mark.parametrize("body", [{"containers": []}, []])
def test_roles_of_nobody(daemon, cli, body):
    daemon(reply(200, body))
    result = cli("roles")
    assert (result.returncode, result.stdout) == (DONE, "no containers are registered\n")


def test_roles_with_gaps(daemon, cli):
    """A bare list, nulls and absent keys; empty columns that may go are gone."""
    daemon(reply(200, [{"id": "a"}, {"id": "b", "image": None, "requests": None, "role_arn": "odd"}]))
    assert cli("roles").stdout.splitlines() == [
        "ID  STATE  ROLE  EXPIRES  REQUESTS",
        "a   -      -     -               -",
        "b   -      odd   -               -",
    ]


@pytest.mark.parametrize(
    "seconds, text",
    [(30, "in 2"), (600, "in 9 min"), (3 * 3600, "in 2 h"), (80 * 3600, "in 3 d"), (-600, "expired 10 min ago")],
)
def test_roles_expiry(daemon, cli, seconds, text):
    daemon(reply(200, [container(expiration=in_future(seconds=seconds - 1))]))
    assert text in cli("roles").stdout


def test_roles_never_sends_control_bytes(daemon, cli, tmp_path):
    evil = "\x1b]0;owned\x07\x9b31m\u202egnp\x7f"
    daemon(
        reply(
            200,
            [
                container(
                    "web-1",
                    state=evil,
                    role_arn=evil,
                    image={"ref": evil, "digest": evil},
                    last_error=evil,
                    labels={evil: evil},
                )
            ],
        )
    )
    for verb in ("roles",), ("roles", "--json"):
        out = cli(*verb).stdout
        assert not set(out) & set("\x1b\x07\x9b\u202e\x7f"), out
    assert "\\x1b]0;owned" in cli("roles").stdout
    assert json.loads(cli("roles", "--json").stdout)[0]["state"] == evil
    assert "\x1b]0" not in on_terminal(tmp_path, "roles")


def test_roles_fits_the_terminal(daemon, tmp_path):
    long = container(
        "container-with-quite-a-long-name-0123456789",
        role_arn=ROLE + "/with/a/path/that/goes/on",
        state="failing",
        last_error="AccessDenied: " + "x" * 300,
    )
    daemon(reply(200, [long, container()]))
    for columns in (300, 200, 120, 100, 80, 60, 40, 24):
        output = on_terminal(tmp_path, "roles", columns=columns, env={"NO_COLOR": "1"})
        assert "\x1b" not in output
        assert max(map(len, output.splitlines())) <= columns, output
        assert "web-1" in output and "failing" in output
    wide = on_terminal(tmp_path, "roles", columns=300, env={"NO_COLOR": "1"})
    assert "AccessDenied: xxx" in wide and "x" * 61 not in wide
    narrow = on_terminal(tmp_path, "roles", columns=125, env={"NO_COLOR": "1"})
    assert "\u2026" in narrow and "web:1" in narrow  # an image keeps its end


def test_roles_colour(daemon, cli, tmp_path):
    daemon(reply(200, [container()]))
    assert "\x1b[32mready\x1b[0m" in on_terminal(tmp_path, "roles")
    assert "\x1b" not in on_terminal(tmp_path, "roles", env={"NO_COLOR": "1"})
    assert "\x1b" not in on_terminal(tmp_path, "roles", env={"TERM": "dumb"})
    assert "\x1b" not in cli("roles", env={"TERM": "xterm"}).stdout


def test_roles_without_utf8(daemon, cli):
    daemon(reply(200, [container(last_error="caf\u00e9 " + "x" * 80)]))
    output = cli("roles", env={"LANG": "C", "LC_ALL": "C"}).stdout
    assert output.isascii() and "caf\\xc3\\xa9" in output and output.endswith("...\n")


def test_roles_json(daemon, cli):
    body = {"containers": [container()], "more": 1.10}
    daemon(reply(200, body))
    for args in (["--json", "roles"], ["roles", "--json"]):
        result = cli(*args)
        assert result.returncode == DONE
        assert json.loads(result.stdout) == body
    assert '\n  "more": 1.1\n' in result.stdout


# show


def test_show(daemon, cli):
    server = daemon(
        reply(200, container(hop_limit=2, policy_arns=["a", "b"], netns_owned=True, last_error="one\ntwo"))
    )
    result = cli("show", "web-1")
    assert result.returncode == DONE
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert lines["id"] == "web-1"
    assert lines["expiration"].endswith("Z (in 43 min)")
    assert lines["last_error"] == "one\\x0atwo"
    assert lines["image.ref"] == "registry.example.com/web:1"
    assert lines["image.digest"] == "-"
    assert lines["labels.team"] == "web"
    assert lines["policy_arns"] == "a, b"
    assert (lines["netns_owned"], lines["hop_limit"]) == ("yes", "2")
    assert server.requests[0].path == "/v1/containers/web-1"
    assert json.loads(cli("show", "web-1", "--json").stdout)["id"] == "web-1"


def test_show_of_none(daemon, cli):
    daemon(error(404, "not_found", "no such container"))
    result = cli("show", "web-9")
    assert (result.returncode, result.stdout) == (FAILED, "")
    assert result.stderr == "rolegate: show web-9: no such container\n"


@pytest.mark.parametrize("name", ["", "a/b", "../version", ".a", "-", "a b", "a%2fb", "\u00e9", "x" * 129])
def test_ids_that_no_container_has(daemon, cli, name):
    server = daemon(reply(200, {}))
    for verb in (["show"], ["unregister"], ["refresh"], ["register", "--role", ROLE, "--pid", "7"]):
        result = cli(*verb, name)
        assert result.returncode == USAGE
        assert "must begin with a letter or digit" in result.stderr
    assert server.requests == []


# register


def test_register_all_options(daemon, cli, tmp_path):
    policy = tmp_path / "session.json"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}\n')
    server = daemon(reply(201, container()))
    result = cli(
        *("register", "web-1", "--role", ROLE, "--netns", "/run/netns/web", "--pid=4242"),
        *("--session-name", "s", "--external-id", "x y", "--duration", "900"),
        *("--tag", "team=web", "--tag", "env=a=b", "--transitive-tag", "team", "--transitive-tag", "env"),
        *("--source-identity", "me", "--session-policy", f"@{policy}"),
        *("--policy-arn", "arn:aws:iam::aws:policy/A", "--policy-arn", "arn:aws:iam::aws:policy/B"),
        *("--tokens", "optional", "--hop-limit", "2", "--image", "web:1", "--digest", "sha256:00"),
        *("--label", "team=web", "--label", "empty=", "--metadata", "hostname=web-1"),
        *("--metadata", "security-groups=sg-1", "--metadata", "x=1", "--metadata", "x=2"),
        *("--intercept", "bridge", "--wait", "3"),
    )
    assert (result.returncode, result.stderr) == (DONE, "")
    assert result.stdout == "web-1: registered: role team/web, credentials expire in 43 min\n"
    (request,) = server.requests
    assert (request.method, request.path) == ("PUT", "/v1/containers/web-1")
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "role_arn": ROLE,
        "netns": "/run/netns/web",
        "pid": 4242,
        "session_name": "s",
        "external_id": "x y",
        "duration_s": 900,
        "session_tags": {"team": "web", "env": "a=b"},
        "transitive_tag_keys": ["team", "env"],
        "source_identity": "me",
        "session_policy": policy.read_text(),
        "policy_arns": ["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"],
        "tokens": "optional",
        "hop_limit": 2,
        "image": {"ref": "web:1", "digest": "sha256:00"},
        "labels": {"team": "web", "empty": ""},
        "metadata": {"hostname": "web-1", "security-groups": ["sg-1"], "x": ["1", "2"]},
        "intercept": "bridge",
        "wait_s": 3,
    }


def test_register_again(daemon, cli):
    server = daemon(reply(200, b""))
    result = cli("register", "web-1", "--role", ROLE, "--pid", "42")
    assert (result.returncode, result.stdout) == (DONE, "web-1: was registered already\n")
    assert server.requests[0].json() == {"role_arn": ROLE, "pid": 42}


@pytest.mark.parametrize(
    "status, code, message, field, exit_code, line",
    [
        (403, "denied", "no rule allows x", "role_arn", DENIED, "role_arn: no rule allows x"),
        (409, "exists", "exists with another definition", None, FAILED, "exists with another definition"),
        (422, "invalid", "is no role ARN", "role_arn", FAILED, "role_arn: is no role ARN"),
        (504, "not_ready", "not ready within 10 s", None, FAILED, "not ready within 10 s"),
        (500, "internal", "", None, FAILED, "the daemon refused: internal (HTTP 500)"),
        (422, "x", "\x1b[31mred\x9b", "f\x07", FAILED, None),
    ],
)
def test_register_refused(daemon, cli, status, code, message, field, exit_code, line):
    daemon(error(status, code, message, field))
    result = cli("register", "web-1", "--role", ROLE, "--pid", "42")
    assert (result.returncode, result.stdout) == (exit_code, "")
    if line:
        assert result.stderr == f"rolegate: register web-1: {line}\n"
    assert not set(result.stderr) & set("\x1b\x07\x9b")


@pytest.mark.parametrize(
    "args, says",
    [
        (["--pid", "1"], "--role is missing"),
        (["--role", ROLE], "--netns PATH or --pid N"),
        (["--role", ROLE, "--netns", "web"], "absolute path"),
        (["--role", ROLE, "--pid", "x"], "--pid: must be a whole number"),
        (["--role", ROLE, "--pid", "-1"], "--pid: must be a whole number"),
        (["--role", ROLE, "--pid", "99999999999999999999"], "--pid: must be a whole number"),
        (["--role", ROLE, "--pid", "7", "--tag", "x"], "--tag: must be KEY=VALUE"),
        (["--role", ROLE, "--pid", "7", "--tag", "=x"], "--tag: must be KEY=VALUE"),
        (["--role", ROLE, "--pid", "7", "--label", "a=1", "--label", "a=2"], 'the key "a" twice'),
        (["--role", ROLE, "--pid", "7", "--session-policy", "{"], "--session-policy: must be a JSON object"),
        (["--role", ROLE, "--pid", "7", "--session-policy", "[]"], "--session-policy: must be a JSON object"),
        (["--role", ROLE, "--role", ROLE], "--role is given twice"),
        (["--role"], "--role needs a value"),
        (["--rol", ROLE], "there is no option --rol"),
        (["-r", ROLE], "there is no option -r"),
        (["--json=1"], "--json takes no value"),
        (["extra"], '"extra" is one argument too many'),
        (["--role", b"arn:\xff", "--pid", "7"], "--role: is no UTF-8"),
    ],
)
def test_register_usage(daemon, cli, args, says):
    server = daemon(reply(201))
    command = [ROLEGATE, "--socket", server.path, "register", "web-1", *args]
    result = subprocess.run(command, capture_output=True, timeout=30)
    assert result.returncode == USAGE
    assert says in result.stderr.decode() and "Try: rolegate help register" in result.stderr.decode()
    assert server.requests == []


def test_register_session_policy_file_missing(daemon, cli):
    daemon(reply(201))
    result = cli("register", "w", "--role", ROLE, "--pid", "7", "--session-policy", "@/nonexistent")
    assert result.returncode == FAILED and "/nonexistent cannot be read" in result.stderr


# unregister, refresh


def test_unregister(daemon, cli):
    server = daemon(reply(204))
    result = cli("unregister", "a", "b")
    assert (result.returncode, result.stdout) == (DONE, "a: unregistered\nb: unregistered\n")
    assert [(r.method, r.path) for r in server.requests] == [
        ("DELETE", "/v1/containers/a"),
        ("DELETE", "/v1/containers/b"),
    ]


def test_unregister_goes_on(daemon, cli):
    daemon(lambda r: error(500, "x", "broken") if r.path.endswith("/a") else reply(204))
    result = cli("unregister", "a", "b")
    assert (result.returncode, result.stdout) == (FAILED, "b: unregistered\n")
    assert result.stderr == "rolegate: unregister a: broken\n"


def test_refresh(daemon, cli):
    server = daemon(reply(202, b"{}"))
    result = cli("refresh", "web-1")
    assert (result.returncode, result.stdout) == (DONE, "web-1: refresh is under way\n")
    assert (server.requests[0].method, server.requests[0].path) == ("POST", "/v1/containers/web-1/refresh")
    assert cli("refresh").returncode == USAGE


# version, help


def test_version(daemon, cli):
    assert cli("version").returncode == DONE  # without a daemon too
    assert "rolegated: no daemon listens" in cli("version").stdout
    assert json.loads(cli("version", "--json").stdout)["daemon"] is None
    daemon(reply(200, {"version": "9.8.7", "commit": "x"}))
    lines = cli("version").stdout.splitlines()
    assert lines[0].startswith("rolegate ") and lines[1] == "rolegated 9.8.7"
    assert json.loads(cli("version", "--json").stdout)["daemon"]["version"] == "9.8.7"


def test_help(cli):
    for args in (["help"], ["--help"]):
        result = cli(*args)
        assert result.returncode == DONE and "policy" in result.stdout and "Exit status" in result.stdout
    for verb in ("roles", "show", "register", "unregister", "refresh", "events", "policy", "version"):
        texts = {cli("help", verb).stdout, cli(verb, "--help").stdout, cli("--help", verb).stdout}
        assert len(texts) == 1 and f"Usage: rolegate [OPTIONS] {verb}" in texts.pop()
    assert cli().returncode == USAGE
    assert cli("help", "nonsense").returncode == USAGE
    assert cli("nonsense").returncode == USAGE
    assert cli("roles", "extra").returncode == USAGE
    assert cli("--timeout", "x", "roles").returncode == USAGE


# the socket


def test_which_socket(daemon, cli, tmp_path):
    server = daemon(reply(200, []))
    config = tmp_path / "rolegate.conf"
    config.write_text(f"[control]\nsocket = {server.path}\n")
    nowhere = {"ROLEGATE_SOCKET": str(tmp_path / "nowhere")}
    assert cli("roles").returncode == DONE
    assert cli("roles", env=nowhere).returncode == UNREACHABLE
    assert cli("--socket", server.path, "roles", env=nowhere).returncode == DONE
    assert cli("--config", config, "roles", env={"ROLEGATE_SOCKET": None}).returncode == DONE
    assert cli("--config", config, "roles", env=nowhere).returncode == UNREACHABLE
    config.write_text("[control]\nsock = /x\n")
    result = cli("--config", config, "roles", env={"ROLEGATE_SOCKET": None})
    assert result.returncode == FAILED and f"{config}:2: sock is no key" in result.stderr
    assert cli("--socket", "/" + "x" * 200, "roles").returncode == USAGE
    assert cli("--socket", "", "roles").returncode == USAGE


def test_unreachable(cli, tmp_path):
    (tmp_path / "control.sock").write_text("no socket")
    for args in (["roles"], ["show", "a"], ["unregister", "a", "b"], ["refresh", "a"], ["events"]):
        result = cli(*args)
        assert (result.returncode, result.stdout) == (UNREACHABLE, "")
        assert len(result.stderr.splitlines()) == 1 and "control.sock" in result.stderr


def test_full_backlog_is_unreachable(cli, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen(0)
        waiting.connect(str(tmp_path / "control.sock"))
        # However many the kernel takes: until it takes no more.
        more = [socket.socket(socket.AF_UNIX) for _ in range(16)]
        for one in more:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(str(tmp_path / "control.sock"))
        start = time.monotonic()
        result = cli("--timeout", "1", "roles")
        for one in more:
            one.close()
    assert result.returncode == UNREACHABLE and "does not take connections" in result.stderr
    assert time.monotonic() - start < 5


def test_full_disk(daemon):
    server = daemon(reply(200, []))
    with open("/dev/full", "w") as full:
        command = [ROLEGATE, "--socket", server.path, "roles"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=30)
    assert result.returncode == FAILED and b"cannot be written" in result.stderr


def test_example_config_is_valid(cli, tmp_path):
    """As it is, and with every example in it taken up."""
    example = pathlib.Path(__file__).parents[2] / "deploy/config/rolegate.conf"
    everything = tmp_path / "rolegate.conf"
    everything.write_text(re.sub("(?m)^;", "", example.read_text()))
    for path in (example, everything):
        result = cli("--config", path, "roles", env={"ROLEGATE_SOCKET": None})
        assert str(path) not in result.stderr


def test_public_header_compiles_as_c_and_cpp(tmp_path):
    include = pathlib.Path(__file__).parents[2] / "include"
    for compiler, standard, name in (("cc", "c99", "x.c"), ("c++", "c++11", "x.cc")):
        if not shutil.which(compiler):
            pytest.skip(f"no {compiler}")
        (tmp_path / name).write_text("#include <rolegate/client.h>\nint main() { return 0; }\n")
        command = [compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        subprocess.run([*command, f"-I{include}", tmp_path / name], check=True)
