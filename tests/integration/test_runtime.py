"""rolegate-runtime and rolegate-hook with runc alone: the identity stands before the first instruction."""

import json
import os
import pwd
import subprocess
import time

import pytest

from bundles import PRIVILEGED, RUNC, Bundles, open_files, words
from host import ROLE, SLOW, Host

ACCOUNT = "123456789012"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@pytest.fixture
def runc(host):
    yield from make(host)


@pytest.fixture(scope="module")
def shared():
    with Host({"runtime": {"path": RUNC, "account": ACCOUNT}}) as host:
        yield from make(host)


@pytest.fixture
def host():
    with Host({"runtime": {"path": RUNC, "account": ACCOUNT}}) as host:
        yield host


def make(host):
    bundles = Bundles(host)
    try:
        yield bundles
    finally:
        bundles.close()


def ids(host):
    return {c["id"] for c in host.api("GET", "/v1/containers")[1]["containers"]}


def issued_role(host, key):
    return {s["access_key_id"]: s["role_arn"] for s in host.fake.sessions()}[key]


def test_first_instruction_has_its_role(shared):
    code, out, err = shared.run("c1", annotations={"rolegate.io/role": ROLE + "team/web"})
    assert code == 0, (out, err)
    answer = words(out)
    assert answer["role"] == "web" and issued_role(shared.host, answer["key"]) == ROLE + "team/web"
    assert "c1" not in ids(shared.host)


def test_fifty_of_fifty(shared):
    """Each by the first instruction of process 1, without a retry."""
    shared.bundle("fifty", annotations={"rolegate.io/role": "batch"})
    for n in range(50):
        code, out, err = shared.call("run", "--bundle", str(shared.dir / "fifty"), f"fifty-{n}")
        assert code == 0 and words(out)["role"] == "batch", (n, out, err)
    assert not any(name.startswith("fifty") for name in ids(shared.host))


def test_fifty_at_once_on_a_slow_sts(runc):
    runc.host.fake.set(sts_delay_s=1)
    processes = {}
    for n in range(50):
        path = runc.bundle(f"c{n}", annotations={"rolegate.io/role": f"role-{n}"})
        processes[n] = subprocess.Popen(
            runc.command(runc.programs / "rolegate-runtime", "run", "--bundle", str(path), f"c{n}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=runc.environ())
    for n, process in processes.items():
        out, err = process.communicate(timeout=120 * SLOW)
        assert process.returncode == 0 and words(out)["role"] == f"role-{n}", (n, out, err)
    assert ids(runc.host) == set()


@pytest.mark.parametrize("source", [
    {"annotations": {"rolegate.io/role": "web"}},
    {"annotations": {"iam.amazonaws.com/role": "web"}},
    {"annotations": {"rolegate.io/role": "web", "iam.amazonaws.com/role": "other"}, "env": ["IAM_ROLE=other"]},
    {"env": ["ROLEGATE_ROLE=web", "IAM_ROLE=other"]},
    {"env": ["IAM_ROLE=web"]},
    {"env": [f"IAM_ROLE=web@{ACCOUNT}"]},
    {"env": [f"IAM_ROLE={ROLE}web", "IAM_EXTERNAL_ID=ext"]},
])
def test_where_the_role_comes_from(shared, source):
    code, out, err = shared.run("c", **source)
    assert code == 0, (out, err)
    assert issued_role(shared.host, words(out)["key"]) == ROLE + "web"


def test_names_from_the_configuration(host):
    host.settings["runtime"] |= {"role_annotations": "example.com/role, example.com/iam", "role_env": "APP_ROLE"}
    host.write_settings()
    for runc in make(host):
        for source in ({"annotations": {"example.com/iam": "web"}}, {"env": ["APP_ROLE=web"]}):
            code, out, err = runc.run("c", **source)
            assert code == 0 and words(out)["role"] == "web", (out, err)


def test_variables_may_be_none_of_anybodys_business(host):
    """An image brings its own along: with trust_env = no it chooses neither its role nor its tags."""
    host.settings["runtime"] |= {"role_env": "APP_ROLE", "trust_env": "no"}
    host.write_settings()
    env = ["ROLEGATE_ROLE=evil", "ROLEGATE_ROLE_ARN=evil", "IAM_ROLE=evil", "APP_ROLE=evil", "ROLEGATE_SESSION_TAGS=team=evil",
           "IAM_EXTERNAL_ID=evil", "ROLEGATE_TOKENS=optional", "ROLEGATE_LABELS=team=evil"]
    for runc in make(host):
        code, out, err = runc.run("c", env=env)
        assert code == 1 and out.startswith("failed "), (out, err)
        runc.start("d", env=env, annotations={"rolegate.io/role": "web"})
        entry = host.show("d")
        assert entry["role_arn"] == ROLE + "web" and entry["tokens"] == "required" and "evil" not in json.dumps(entry), entry


def test_options_reach_sts(shared):
    shared.start("opts", annotations={
        "rolegate.io/role": "web",
        "rolegate.io/session_tags": "team=web,stage=prod",
        "rolegate.io/transitive_tag_keys": '["team"]',
        "rolegate.io/labels": '{"team":"a,b"}',
        "rolegate.io/duration_s": "1800",
        "rolegate.io/tokens": "optional",
    }, env=["ROLEGATE_EXTERNAL_ID=ext-1", "IAM_EXTERNAL_ID=ext-2", "ROLEGATE_TOKENS=required",
            f"IAM_POLICY={json.dumps(POLICY)}"])
    entry = shared.host.show("opts")
    assert entry["session_tags"] == {"team": "web", "stage": "prod"}
    assert entry["transitive_tag_keys"] == ["team"] and entry["labels"] == {"team": "a,b"}
    assert entry["duration_s"] == 1800 and entry["tokens"] == "optional" and entry["external_id"] == "ext-1"
    assert json.loads(entry["session_policy"]) == POLICY
    request = str(shared.host.fake.requests("sts", action="AssumeRole")[-1]["parameters"])
    assert "ext-1" in request and "1800" in request and "ext-2" not in request


def test_image_and_pod_as_containerd_and_crio_tell_them(shared):
    digest = "sha256:" + "ab" * 32
    shared.start("cri", annotations={
        "rolegate.io/role": "web",
        "io.kubernetes.cri.image-name": f"registry.example.com/web@{digest}",
        "io.kubernetes.cri.sandbox-name": "web-0", "io.kubernetes.cri.sandbox-namespace": "shop"})
    entry = shared.host.show("cri")
    assert entry["image"] == {"ref": f"registry.example.com/web@{digest}", "digest": digest}
    assert entry["labels"] == {"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"}
    shared.start("crio", annotations={
        "rolegate.io/role": "web", "rolegate.io/labels": "team=web",
        "io.kubernetes.cri-o.ImageName": "registry.example.com/web:1",
        "io.kubernetes.cri-o.ImageRef": f"registry.example.com/web@{digest}",
        "io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "shop"})
    entry = shared.host.show("crio")
    assert entry["image"] == {"ref": "registry.example.com/web:1", "digest": digest}
    assert entry["labels"] == {"io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "shop", "team": "web"}


@pytest.mark.parametrize("source, said", [
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/rloe": "x"}}, "rolegate.io/rloe"),
    ({"annotations": {"rolegate.io/rloe": "web"}}, "rolegate.io/rloe"),
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/netns": "/proc/1/ns/net"}}, "rolegate.io/netns"),
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/pid": "1"}}, "rolegate.io/pid"),
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/image.ref": "trusted"}}, "rolegate.io/image.ref"),
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/labels": "io.kubernetes.pod.namespace=prod"}},
     "rolegate.io/labels"),
    ({"annotations": {"rolegate.io/role": "web", "rolegate.io/session_tags": '{"a":1}'}}, "rolegate.io/session_tags"),
    ({"annotations": {"rolegate.io/role": "web"}, "env": ["ROLEGATE_LABELS=team=admin"]}, "ROLEGATE_LABELS"),
    ({"annotations": {"rolegate.io/role": "web"}, "env": ["ROLEGATE_DURATION_S=soon"]}, "ROLEGATE_DURATION_S"),
    ({"annotations": {"rolegate.io/role": "web"}, "env": ["ROLEGATE_DURATION_S=12"]}, "duration_s"),
    ({"env": ["IAM_ROLE=arn:aws:iam::12:role/x"]}, "role_arn"),
])
def test_bad_options_keep_it_from_starting(shared, source, said):
    code, out, err = shared.run("bad", args=["/bin/sh", "-c", "echo started"], **source)
    assert code != 0 and "started" not in out and said in err, (code, out, err)
    assert "bad" not in ids(shared.host)


def test_no_role_no_credentials(shared):
    """And none of the host's: neither directly nor by way of a forwarding route."""
    code, out, err = shared.run("none")
    assert code == 1 and out.startswith("failed token -"), (out, err)
    config = json.loads((shared.dir / "none" / "config.json").read_text())
    assert "hooks" not in config


def test_engines_file_is_left_as_it_is_but_for_the_hooks(shared):
    other = {"path": "/bin/true", "args": ["true"]}
    path = shared.bundle("edit", annotations={"rolegate.io/role": "web"},
                         hooks={"createRuntime": [other], "poststart": [other]})
    file = path / "config.json"
    before = json.loads(file.read_text())
    file.chmod(0o640)
    os.chown(file, 1, 2)
    for name in ("edit-1", "edit-2"):  # a bundle that is used again gets no second hook
        code, out, err = shared.call("run", "--bundle", str(path), name)
        assert code == 0, (out, err)
    after = json.loads(file.read_text())
    hooks = after.pop("hooks")
    before.pop("hooks")
    assert after == before and str(2**64 - 1) in file.read_text()
    assert [h["path"].split("/")[-1] for h in hooks["createRuntime"]] == ["rolegate-hook", "true"]
    assert [h["path"].split("/")[-1] for h in hooks["poststop"]] == ["rolegate-hook"]
    assert hooks["poststart"] == [other]
    status = file.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 1, 2)
    assert sorted(p.name for p in path.iterdir()) == ["config.json"]


def test_denied_by_sts_fails_with_role_and_reason(runc):
    runc.host.fake.set(sts_error="AccessDenied")
    log = runc.dir / "log.json"
    path = runc.bundle("denied", args=["/bin/sh", "-c", "echo started"], annotations={"rolegate.io/role": "secret"})
    code, out, err = runc.call("--log", str(log), "--log-format", "json", "run", "--bundle", str(path), "denied")
    assert code != 0 and "started" not in out
    assert ROLE + "secret" in err and "AccessDenied" in err, err
    errors = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(e["level"] == "error" and "AccessDenied" in e["msg"] for e in errors), errors
    assert ids(runc.host) == set()


def test_denied_by_sts_may_start_without(host):
    host.settings["runtime"]["on_not_ready"] = "start"
    host.write_settings()
    host.fake.set(sts_error="AccessDenied")
    for runc in make(host):
        code, out, err = runc.run("denied", annotations={"rolegate.io/role": "secret"})
        assert code == 1 and "AssumeRoleUnauthorizedAccess" in out, (out, err)
        # The same, and STS comes to its senses while the container runs.
        out = runc.start("late", args=["/bin/sh", "-c", "/imds; while ! /imds; do sleep 0.1; done; echo got it"],
                         annotations={"rolegate.io/role": "secret"})
        host.wait(lambda: "failed credentials" in out.read_text(), "the first try")
        host.fake.set(sts_error=None)
        host.api("POST", "/v1/containers/late/refresh")
        host.wait(lambda: "got it" in out.read_text(), "credentials")
    host.wait(lambda: ids(host) == set(), "the end of the registration")


def test_denied_by_policy_never_starts():
    """Whatever on_not_ready says: that is about time."""
    policy = {"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"], "images": ["registry.example.com/web*"]}]}
    with Host({"runtime": {"path": RUNC, "account": ACCOUNT, "on_not_ready": "start"}}, policy) as host:
        for runc in make(host):
            code, out, err = runc.run("c", args=["/bin/sh", "-c", "echo started"], env=["IAM_ROLE=web"])
            assert code != 0 and "started" not in out and "no rule allows" in err and ROLE + "web" in err, err
            code, out, err = runc.run("d", env=["IAM_ROLE=web"],
                                      annotations={"io.kubernetes.cri.image-name": "registry.example.com/web:1"})
            assert code == 0, err


def test_no_daemon_no_start(host):
    host.settings["runtime"]["on_not_ready"] = "start"
    host.write_settings()
    for runc in make(host):
        host.daemon.stop()
        code, out, err = runc.run("c", args=["/bin/sh", "-c", "echo started"], env=["IAM_ROLE=web"])
        assert code != 0 and "started" not in out and "no daemon listens" in err, err


def test_a_restart_of_the_daemon_is_waited_for(runc):
    path = runc.bundle("c", annotations={"rolegate.io/role": "web"})
    runc.host.daemon.stop()
    process = subprocess.Popen(
        runc.command(runc.programs / "rolegate-runtime", "run", "--bundle", str(path), "c"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=runc.environ())
    time.sleep(0.5)
    runc.host.start_daemon()
    out, err = process.communicate(timeout=60 * SLOW)
    assert process.returncode == 0 and words(out)["role"] == "web", (out, err)


@pytest.mark.parametrize("kwargs, said", [
    ({"netns": None}, "host's network namespace"),
    ({"netns": "host's own"}, "host's network namespace"),
    ({"capabilities": PRIVILEGED}, "CAP_SYS_ADMIN"),
])
def test_unconfined_containers_are_refused(shared, kwargs, said):
    if kwargs.get("netns"):
        kwargs = {"netns": shared.host.netns.path}
    for annotations in ({}, {"rolegate.io/role": "web"}):
        code, out, err = shared.run("u", args=["/bin/sh", "-c", "echo started"], annotations=annotations, **kwargs)
        assert code != 0 and "started" not in out and said in err and "unconfined" in err, err


def test_sockets_of_rolegate_may_not_be_mounted(shared):
    for source in (shared.host.control_socket, str(shared.host.state_dir), "/"):
        mounts = [{"destination": "/tmp/x", "type": "bind", "source": source, "options": ["rbind", "ro"]}]
        code, out, err = shared.run("u", args=["/bin/sh", "-c", "echo started"], mounts=mounts)
        assert code != 0 and "started" not in out and "control.sock" in err, err


def test_a_bind_mount_does_not_hide_what_is_mounted(host):
    """Docker's volumes and a pod's subPath are bind mounts of their own: another path, the same thing."""
    (host.state_dir / "part").mkdir()
    for runc in make(host):
        alias = host.dir / "volume"
        for source in (host.control_socket, host.state_dir, host.state_dir / "part"):
            alias.mkdir() if os.path.isdir(source) else alias.touch()
            subprocess.run(["mount", "--bind", source, alias], check=True)
            try:
                mounts = [{"destination": "/tmp/x", "type": "bind", "source": str(path), "options": ["rbind", "ro"]}
                          for path in ([source] if str(source).endswith("part") else [alias])]
                code, out, err = runc.run("u", args=["/bin/sh", "-c", "echo started"], mounts=mounts)
                assert code != 0 and "started" not in out and "rolegate's own" in err, (source, err)
            finally:
                subprocess.run(["umount", alias], check=True)
                alias.rmdir() if alias.is_dir() else alias.unlink()


def run_with(runc, name, edit):
    path = runc.bundle(name, args=["/bin/sh", "-c", "echo started"], netns=None)
    config = json.loads((path / "config.json").read_text())
    edit(config)
    (path / "config.json").write_text(json.dumps(config))
    return runc.call("run", "--bundle", str(path), name)


def test_root_of_the_host_in_a_user_namespace_is_root(shared):
    def edit(config):
        config["linux"]["namespaces"] += [{"type": "user"}, {"type": "network"}]
        config["linux"] |= {kind: [{"containerID": 0, "hostID": 0, "size": 65536}] for kind in ("uidMappings", "gidMappings")}
        config["mounts"].append({"destination": "/tmp/x", "type": "bind", "source": str(shared.host.state_dir), "options": ["rbind"]})
    code, out, err = run_with(shared, "u", edit)
    assert code != 0 and "started" not in out and "control.sock" in err, err


@pytest.mark.parametrize("how", ["", "CAP_SETUID", "CAP_NET_ADMIN", "CAP_NET_RAW", "that user", "noNewPrivileges"])
def test_the_hosts_network_even_if_protected_is_for_those_who_cannot_be_rolegate(host, how):
    """protect_host goes by the user: docker run --network host --user rolegate, or root's setuid, would be it."""
    host.settings["intercept"] = host.settings.get("intercept", {}) | {"protect_host": "yes"}
    host.write_settings()
    try:
        rolegate = pwd.getpwnam("rolegate").pw_uid
    except KeyError:
        rolegate = 0

    def edit(config):
        process = config["process"]
        process["capabilities"] = {kind: [how] if how.startswith("CAP") else [] for kind in process["capabilities"]}
        process["user"] = {"uid": rolegate if how == "that user" else 1234, "gid": 1234}
        process["noNewPrivileges"] = how != "noNewPrivileges"
    for runc in make(host):
        code, out, err = run_with(runc, "h", edit)
        assert (code == 0) == (how == ""), err
        assert how == "" or ("started" not in out and how in err and "unconfined" in err), err


def test_unconfined_containers_may_be_let_in_with_a_warning(host):
    host.settings["runtime"]["unconfined"] = "warn"
    host.write_settings()
    for runc in make(host):
        code, out, err = runc.run("p", capabilities=PRIVILEGED, annotations={"rolegate.io/role": "web"})
        assert code == 0 and words(out)["role"] == "web" and "CAP_SYS_ADMIN" in err, (out, err)
        code, out, err = runc.run("h", args=["/bin/sh", "-c", "echo started"], netns=None,
                                  annotations={"rolegate.io/role": "web"})
        assert code == 0 and "started" in out and "cannot be given" in err, (out, err)
        assert ids(host) == set()


def test_joining_a_registered_netns_shares_its_identity(runc):
    first = runc.output(runc.start("pod", annotations={"rolegate.io/role": "web"}))
    netns = f"/proc/{runc.host.show('pod')['pid']}/ns/net"
    for annotations in ({}, {"rolegate.io/role": "web"}):
        code, out, err = runc.run("sidecar", netns=netns, annotations=annotations)
        assert code == 0 and words(out) == first, (out, err)
        assert ids(runc.host) == {"pod"}
    code, out, err = runc.run("other", args=["/bin/sh", "-c", "echo started"], netns=netns,
                              annotations={"rolegate.io/role": "batch"})
    assert code != 0 and "started" not in out and ROLE + "batch" in err and ROLE + "web" in err, err
    code, out, err = runc.run("sidecar", netns=netns)  # its identity outlives all that
    assert code == 0 and words(out) == first, (out, err)


def test_a_pod_whose_containers_start_at_once(runc):
    """The sandbox has no role; each container of the pod asks for the same one."""
    runc.host.fake.set(sts_delay_s=0.3)
    runc.start("pause", args=["/bin/sleep", "3600"])
    pid = json.loads(runc.call("state", "pause")[1])["pid"]
    netns = f"/proc/{pid}/ns/net"
    outs = []
    for n in range(4):
        path = runc.bundle(f"m{n}", args=["/imds"], netns=netns, annotations={"rolegate.io/role": "web"})
        outs.append(subprocess.Popen(
            runc.command(runc.programs / "rolegate-runtime", "run", "--bundle", str(path), f"m{n}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=runc.environ()))
    for process in outs:
        out, err = process.communicate(timeout=60 * SLOW)
        # One that shares may outlive the one that holds the registration: it has lost it then, not another's.
        assert words(out).get("role") == "web" or out.startswith("failed "), (out, err)
    assert any(process.returncode == 0 for process in outs)
    runc.host.wait(lambda: ids(runc.host) == set(), "the end of the registration")


@pytest.mark.parametrize("how", ["stop", "kill", "force"])
def test_nothing_is_left(runc, how):
    runc.run("warm", annotations={"rolegate.io/role": "other"})  # connections to AWS are kept
    runc.host.wait(lambda: "container=warm detached" in runc.host.netd.text(), "its end")
    before = open_files(runc.host)
    out = runc.start("c", annotations={"rolegate.io/role": "web"})
    assert runc.output(out)["role"] == "web"
    assert open_files(runc.host) != before
    if how == "force":
        assert runc.call("delete", "--force", "c")[0] == 0
    else:
        assert runc.call("kill", "c", "TERM" if how == "stop" else "KILL")[0] == 0
        runc.host.wait(lambda: json.loads(runc.call("state", "c")[1])["status"] == "stopped", "its end")
        runc.host.wait(lambda: runc.host.show("c") is None, "the end of the registration")
        assert runc.call("delete", "c")[0] == 0
    assert runc.host.show("c") is None
    # The listeners were the last to hold its netns, and with it its rules.
    runc.host.wait(lambda: all(now <= then for now, then in zip(open_files(runc.host), before)),
                   "the end of listeners and connections")
    assert [p.name for p in runc.host.state_dir.rglob("*") if "c" == p.stem] == []


def test_a_failed_start_leaves_nothing(runc):
    fails = {"path": "/bin/false", "args": ["false"]}
    code, out, err = runc.run("c", annotations={"rolegate.io/role": "web"}, hooks={"createContainer": [fails]})
    assert code != 0
    assert ids(runc.host) == set()
    code, out, err = runc.run("d", annotations={"rolegate.io/role": "web"}, args=["/no/such/program"])
    assert code != 0
    runc.host.wait(lambda: ids(runc.host) == set(), "the end of the registration")


def test_the_same_id_in_another_engine_does_not_end_the_first(runc):
    """Ids are unique in one runtime root only. The second one fails, and takes nothing with it."""
    out = runc.output(runc.start("web", annotations={"rolegate.io/role": "web"}))
    root, runc.root = runc.root, runc.host.dir / "other-root"
    code, _, err = runc.run("web", annotations={"rolegate.io/role": "web"})
    assert code != 0 and "is registered with another" in err, err
    runc.call("delete", "--force", "web")
    runc.root = root
    assert runc.host.show("web")["access_key_id"] == out["key"]


def test_create_start_delete_as_engines_do(runc):
    path = runc.bundle("c", args=["/imds", "hold"], annotations={"rolegate.io/role": "web"})
    pid_file = runc.dir / "pid"
    with open(path / "out", "w") as out:
        subprocess.run(runc.command(runc.programs / "rolegate-runtime", "--log", str(runc.dir / "log"), "create",
                                    "--bundle", str(path), "--pid-file", str(pid_file), "c"),
                       check=True, env=runc.environ(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    runc.running.append("c")
    entry = runc.host.show("c")
    assert entry["state"] == "ready" and entry["pid"] == int(pid_file.read_text()) and entry["requests"] == 0
    assert runc.call("start", "c")[0] == 0
    assert runc.output(path / "out")["role"] == "web"
    assert runc.call("delete", "c")[0] != 0  # it runs: not deleted, and so not unregistered
    assert runc.host.show("c")["state"] == "ready"


def test_other_commands_are_the_real_runtimes(shared):
    for arguments in (["--version"], ["list"], ["create", "--help"], ["state", "no-such"], ["spec", "--help"], []):
        real = subprocess.run([RUNC, *arguments], capture_output=True, text=True)
        ours = subprocess.run([shared.programs / "rolegate-runtime", *arguments], capture_output=True, text=True,
                              env=shared.environ())
        assert (ours.returncode, ours.stdout) == (real.returncode, real.stdout), arguments


def test_a_broken_configuration_starts_nothing_but_lets_stop(host):
    for runc in make(host):
        out = runc.start("c", annotations={"rolegate.io/role": "web"})
        runc.output(out)
        host.settings["runtime"]["pth"] = "typo"
        host.write_settings()
        code, out, err = runc.run("d", args=["/bin/sh", "-c", "echo started"])
        assert code == 1 and "started" not in out and "pth" in err, (out, err)
        code, out, err = runc.call("state", "c")
        assert code == 0 and json.loads(out)["status"] == "running" and err == "", (out, err)
        assert runc.call("kill", "c", "KILL")[0] == 0
        host.wait(lambda: ids(host) == set(), "the end of the registration")
        assert runc.call("delete", "--force", "c")[0] == 0


def test_real_runtime_must_be_another(host):
    for runc in make(host):
        for path, said in ((runc.programs / "rolegate-runtime", "this very program"), ("no-such-runtime", "$PATH")):
            host.settings["runtime"]["path"] = path
            host.write_settings()
            code, out, err = runc.call("list")
            assert code == 1 and said in err, err


def test_hook_without_wrapper_as_hooks_d_calls_it(shared):
    hook = str(shared.programs / "rolegate-hook")
    hooks = {stage: [{"path": hook, "args": ["rolegate-hook"], "env": [f"ROLEGATE_CONFIG={shared.host.config}"]}]
             for stage in ("createRuntime", "poststop")}
    code, out, err = shared.run("h", program=RUNC, annotations={"rolegate.io/role": "web"}, hooks=hooks)
    assert code == 0 and words(out)["role"] == "web", (out, err)
    assert "h" not in ids(shared.host)
    code, out, err = shared.run("h", program=RUNC, hooks=hooks)
    assert code == 1 and out.startswith("failed "), (out, err)
    code, out, err = shared.run("h", program=RUNC, capabilities=PRIVILEGED, hooks=hooks)
    assert code != 0 and "CAP_SYS_ADMIN" in err, (out, err)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id":"x"}', '{"id":"x","bundle":"rel","status":"creating"}',
                                  '{"id":"x","bundle":"/no/such","status":"creating","pid":1}',
                                  '{"id":"x","bundle":"/","status":"running","pid":1}', "huge"])
def test_hook_refuses_what_is_no_state(shared, text):
    text = "x" * 2_000_000 if text == "huge" else text
    result = subprocess.run([shared.programs / "rolegate-hook"], input=text, capture_output=True, text=True,
                            env=shared.environ())
    assert result.returncode == 1 and result.stderr.startswith("rolegate-hook: "), result


@pytest.mark.parametrize("text", ["", "[]", "{", '{"annotations":{"a":1}}', '{"process":[]}', '{"hooks":[]}',
                                  '{"linux":{"namespaces":[{}]}}', '{"a":1,"a":2}'])
def test_a_broken_config_never_reaches_the_runtime(shared, text):
    path = shared.bundle("broken")
    if "hooks" in text:
        text = json.dumps(json.loads((path / "config.json").read_text()) |
                          {"hooks": [], "annotations": {"rolegate.io/role": "web"}})
    (path / "config.json").write_text(text)
    code, out, err = shared.call("run", "--bundle", str(path), "broken")
    assert code == 1 and "rolegate-runtime: container broken is not made" in err, err
