"""rolegate(1) against the real daemons: what the fake control server only imitates."""

import json

from host import ROLE, Host

DONE, FAILED, USAGE, UNREACHABLE, DENIED = range(5)
POLICY = {
    "version": 1,
    "rules": [{"name": "web", "roles": [ROLE + "team/*"], "images": ["web:*"], "max_duration_s": 3600}],
}


def register(host, name, *args, role="team/web"):
    netns = host.containers[name].netns.path
    return host.cli("register", name, "--role", ROLE + role, "--netns", netns, *args)


def test_one_containers_life():
    with Host(policy=POLICY) as host:
        container = host.container("web-1")
        options = ("--image", "web:1", "--label", "team=web", "--tag", "team=web", "--wait", "5")
        result = register(host, "web-1", *options)
        assert (result.returncode, result.stderr) == (DONE, "")
        assert result.stdout.startswith("web-1: registered: role team/web, credentials expire in ")
        assert container.role() == "web"
        assert "was registered already" in register(host, "web-1", *options).stdout

        title, row = host.cli("roles").stdout.splitlines()
        assert title.split() == ["ID", "STATE", "ROLE", "EXPIRES", "REQUESTS", "IMAGE"]
        assert row.startswith("web-1  ready  team/web  in ") and row.endswith("  web:1")
        assert [c["id"] for c in json.loads(host.cli("roles", "--json").stdout)["containers"]] == ["web-1"]
        shown = dict(line.split(": ", 1) for line in host.cli("show", "web-1").stdout.splitlines())
        assert shown["role_arn"] == ROLE + "team/web" and shown["session_tags.team"] == "web"

        assert host.cli("refresh", "web-1").returncode == DONE
        assert host.cli("unregister", "web-1", "web-1").returncode == DONE
        assert host.cli("roles").stdout == "no containers are registered\n"
        assert host.cli("show", "web-1").returncode == FAILED
        assert "rolegated 0." in host.cli("version").stdout


def test_refusals_name_field_and_reason():
    with Host(policy=POLICY) as host:
        host.container("web-1")
        result = register(host, "web-1", "--image", "evil:1")
        assert (result.returncode, result.stdout) == (DENIED, "")
        assert result.stderr == (
            f"rolegate: register web-1: image.ref: no rule allows {ROLE}team/web: "
            'rule "web" matches the role but its images do not match "evil:1"\n'
        )
        # The check without a daemon says the same.
        question = ("--role", ROLE + "team/web", "--image", "evil:1")
        check = host.cli("policy", "check", str(host.policy_file), *question)
        assert check.returncode == DENIED and check.stderr.split("no rule")[1] == result.stderr.split("no rule")[1]
        for args, says in (
            (["--role", "x"], "role_arn: "),
            (["--role", ROLE + "team/web", "--tokens", "maybe"], "tokens: "),
            (["--role", ROLE + "team/web", "--hop-limit", "65"], "hop_limit: "),
        ):
            result = host.cli("register", "web-1", "--netns", host.containers["web-1"].netns.path, *args)
            assert result.returncode == FAILED
            assert result.stderr.startswith(f"rolegate: register web-1: {says}"), result.stderr
        assert register(host, "web-1", "--image", "web:1").returncode == DONE
        result = register(host, "web-1", "--image", "web:2")
        assert result.returncode == FAILED and "rolegate: register web-1: " in result.stderr
        host.daemon.stop()
        assert host.cli("roles").returncode == UNREACHABLE
