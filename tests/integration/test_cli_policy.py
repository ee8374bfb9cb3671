"""rolegate policy check: valid and invalid files, and whom a policy allows what."""

import json
import pathlib

import pytest
from cli_fixtures import DENIED, DONE, FAILED, USAGE
from cli_fixtures import cli  # noqa: F401 (fixture)

ROLE = "arn:aws:iam::123456789012:role/team/web-1"
DIGEST = "sha256:" + "ab" * 32
RULE = {
    "name": "web",
    "roles": ["arn:aws:iam::123456789012:role/team/web-*"],
    "images": ["registry.example.com/web*"],
    "require_digest": True,
    "labels": {"team": "web"},
    "max_duration_s": 3600,
}
GOOD = ["--role", ROLE, "--image", "registry.example.com/web:1", "--digest", DIGEST, "--label", "team=web"]


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"version": 1, "rules": [RULE]}))
    return path


def test_valid(cli, policy):  # noqa: F811
    result = cli("policy", "check", policy)
    assert (result.returncode, result.stdout, result.stderr) == (DONE, "1 rule, valid\n", "")
    result = cli("policy", "check", policy, "--json")
    assert json.loads(result.stdout) == {"file": str(policy), "rules": 1}


def test_example_policy_is_valid(cli):  # noqa: F811
    example = pathlib.Path(__file__).parents[2] / "deploy/config/policy.json"
    assert cli("policy", "check", example).returncode == DONE


@pytest.mark.parametrize(
    "change, says",
    [
        ({"image": ["x"]}, 'rule "web": unknown key "image"'),
        ({"roles": ["arn:aws:iam::*:role/x"]}, "wildcard in its account id"),
        ({"labels": {"a": 1}}, 'labels: "a" must have a string'),
        ({"name": "\x1b[31m"}, "rule #1: name"),
    ],
)
def test_invalid(cli, policy, change, says):  # noqa: F811
    policy.write_text(json.dumps({"version": 1, "rules": [{**RULE, **change}]}))
    for args in ([], ["--role", ROLE], ["--json"]):
        result = cli("policy", "check", policy, *args)
        assert (result.returncode, result.stdout) == (FAILED, "")
        assert result.stderr.startswith(f"rolegate: policy check: {policy}: ")
        assert says in result.stderr and "\x1b" not in result.stderr


def test_unreadable(cli, tmp_path):  # noqa: F811
    for path in (tmp_path / "none", tmp_path):
        result = cli("policy", "check", path)
        assert result.returncode == FAILED and "cannot be read" in result.stderr


def test_allowed(cli, policy):  # noqa: F811
    result = cli("policy", "check", policy, *GOOD)
    assert (result.returncode, result.stdout) == (DONE, 'allowed by rule "web"\n')
    answer = json.loads(cli("policy", "check", policy, *GOOD, "--json").stdout)
    assert (answer["allowed"], answer["rule"]) == (True, "web")


@pytest.mark.parametrize(
    "args, says",
    [
        ([*GOOD[:2], "--image", "evil.example.com/x"], 'images do not match "evil.example.com/x"'),
        (GOOD[:2], "image is not known"),
        (GOOD[:4], "requires the image's digest"),
        (GOOD[:6], "wants label team"),
        ([*GOOD, "--duration", "3601"], "at most 3600 seconds, not 3601"),
        (["--role", ROLE.replace("web-1", "db")], "no rule's roles match it"),
        (["--role", ROLE.replace("1234", "9999")], 'in account "123456789012", not "999956789012"'),
    ],
)
def test_denied(cli, policy, args, says):  # noqa: F811
    result = cli("policy", "check", policy, *args)
    assert (result.returncode, result.stdout) == (DENIED, "")
    assert result.stderr.startswith("rolegate: policy check: no rule allows arn:") and says in result.stderr
    result = cli("policy", "check", policy, *args, "--json")
    answer = json.loads(result.stdout)
    assert result.returncode == DENIED and answer["allowed"] is False and says in answer["reason"]


@pytest.mark.parametrize(
    "args",
    [
        ["policy"],
        ["policy", "check"],
        ["policy", "show", "x"],
        ["policy", "check", "x", "y"],
        ["policy", "check", "POLICY", "--image", "x"],
        ["policy", "check", "POLICY", "--label", "a=b"],
        ["policy", "check", "POLICY", "--role", ROLE, "--label", "a"],
        ["policy", "check", "POLICY", "--role", ROLE, "--duration", "1h"],
        ["policy", "check", "POLICY", "--role", ROLE, "--duration", "899"],
    ],
)
def test_usage(cli, policy, args):  # noqa: F811
    result = cli(*[policy if arg == "POLICY" else arg for arg in args])
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "Try: rolegate help" in result.stderr
