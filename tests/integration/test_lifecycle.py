"""Unregistering, restarts, and that nothing is left behind."""

import json
import os
import pwd
import signal
import subprocess

from host import WRAPPER, Host


def rules(netns):
    return "".join(netns.run([f"{tool}-save"]).stdout for tool in ("iptables", "ip6tables")
                   ).replace("# ", "")


def without_counters(text):
    return [line.split(" [")[0] for line in text.splitlines() if not line.startswith(("Generated", "Completed"))]


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def rss_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def test_unregistering_takes_everything_away(host):
    c = host.container("c")
    routes = c.netns.run(["ip", "route"]).stdout
    host.register("c")
    token = c.token()
    open_connection = c.inside.connect()
    host.unregister("c")
    open_connection.settimeout(2)
    assert open_connection.recv(10) == b"", "a connection outlived its registration"
    assert "ROLEGATE" not in rules(c.netns) and "REDIRECT" not in rules(c.netns)
    assert c.netns.run(["ip", "route"]).stdout == routes
    assert "16925" not in c.netns.run(["ss", "-ltn"]).stdout
    inode = c.netns.inode[1]
    c.netns.close()
    host.wait(lambda: str(inode) not in subprocess.run(["lsns", "-t", "net", "-no", "NS"], capture_output=True,
                                                       text=True).stdout, "the netns to go")
    c = host.container("c2")
    host.register("c", netns=c.netns.path)
    assert c.get("/latest/meta-data/iam/info", token)[0] == 401, "a token outlived its registration"


def test_500_cycles_leave_nothing(host):
    c = host.container("c")
    other = host.container("other")
    host.register("other", "batch")
    host.register("c")
    host.unregister("c")
    before = without_counters(rules(c.netns))
    open_before = descriptors(host.daemon), descriptors(host.netd)
    host_rules = without_counters(rules(host.netns))
    count = 40 if WRAPPER else 500
    for i in range(count):
        host.register("c", f"role-{i}")
        if i == count // 5:
            memory = rss_kib(host.daemon), rss_kib(host.netd)
        host.unregister("c")
    assert without_counters(rules(c.netns)) == before
    # A pooled connection to STS comes and goes; what leaks once a cycle shows.
    assert abs(descriptors(host.daemon) - open_before[0]) <= 2
    assert abs(descriptors(host.netd) - open_before[1]) <= 2
    assert without_counters(rules(host.netns)) == host_rules
    if not WRAPPER and "ROLEGATE_SANITIZED" not in os.environ:  # a quarantine is no leak
        assert rss_kib(host.daemon) < memory[0] + 1024 and rss_kib(host.netd) < memory[1] + 1024
    assert other.role() == "batch"


def test_a_restart_of_rolegated_keeps_every_container(host):
    a, b = host.container("a"), host.container("b")
    host.register("a", "web")
    host.register("b", "batch", labels={"x": "y"})
    token = a.token()
    entry = host.show("b")
    for number in (signal.SIGTERM, signal.SIGKILL):
        host.daemon.stop(number)
        waiting = a.inside.connect()  # accepted by the kernel: netd holds the listener
        host.start_daemon()
        host.wait(lambda: host.show("a")["state"] == host.show("b")["state"] == "ready", "both to be ready")
        status, _, body = a.inside.request("GET", "/latest/meta-data/iam/security-credentials/",
                                           {"X-aws-ec2-metadata-token": token}, sock=waiting)
        assert (status, body) == (200, b"web"), "tokens and waiting connections survive"
        assert b.role() == "batch"
        again = host.show("b")
        for key in ("id", "role_arn", "session_name", "labels", "netns", "registered_at"):
            assert again[key] == entry[key]
    host.unregister("a")
    assert "ROLEGATE" not in rules(a.netns)


def test_a_restart_of_netd_keeps_every_container(host):
    a = host.container("a")
    host.register("a", "web")
    for number in (signal.SIGTERM, signal.SIGKILL):
        host.netd.stop(number)
        assert a.role() == "web"
        host.netd.start()
        host.wait(lambda: host.daemon.text().count("connected to rolegate-netd") ==
                  host.netd.text().count("serving at"), "the reconnection")
        assert a.role() == "web"
    host.container("b")
    host.register("b", "batch")
    host.unregister("a")
    assert "ROLEGATE" not in rules(a.netns)


def test_a_restart_of_both_rebuilds(host):
    a, gone = host.container("a"), host.container("gone")
    host.register("a", "web")
    host.register("gone", "batch")
    host.daemon.stop(signal.SIGKILL)
    host.netd.stop(signal.SIGKILL)
    gone.close()
    host.start()
    host.wait(lambda: (host.show("a") or {}).get("state") == "ready", "a to be ready")
    host.wait(lambda: host.show("gone") is None, "the dead one to be dropped")
    assert a.role() == "web"
    assert rules(a.netns).count("-A OUTPUT -j ROLEGATE") <= 4
    assert not list((host.state_dir / "containers").glob("gone*"))


def test_another_process_of_that_pid_is_not_it(host):
    """After a restart the number may be another's: who has it now did not start when the registered one did."""
    c = host.container("c")
    process = c.netns.sleeper()
    host.register("c", pid=process.pid)
    host.daemon.stop()
    file = host.state_dir / "containers" / "c.json"
    state = json.loads(file.read_text())
    assert state["pid_started"] > 0
    file.write_text(json.dumps({**state, "pid_started": state["pid_started"] - 1}))
    host.start_daemon()
    host.wait(lambda: host.show("c") is None, "it to be dropped")
    assert "there is no process" in host.daemon.text()
    host.wait(lambda: "ROLEGATE" not in rules(c.netns), "its rules to go")
    process.kill()


def test_damaged_state_files_block_nothing(host):
    a = host.container("a")
    host.register("a", "web")
    host.container("b")
    host.register("b", "batch")
    host.daemon.stop()
    files = host.state_dir / "containers"
    (files / "b.json").write_text((files / "b.json").read_text()[:40])
    (files / "c.json").write_bytes(b"\0\xff garbage")
    state = json.loads((files / "a.json").read_text())
    (files / "d.json").write_text(json.dumps({**state, "id": "d", "version": 99}))
    (files / "e.json").symlink_to("/etc/passwd")
    (files / "f.json").mkdir()
    os.mkfifo(files / "g.json")
    (files / "h.json").write_text("[" * 200_000)
    (host.state_dir / "token.key").write_bytes(b"x" * 5000)
    host.start_daemon()
    host.wait(lambda: host.show("a")["state"] == "ready", "a to be ready")
    assert a.role() == "web" and host.show("b") is None
    for name in "efg":  # the sandbox, where there is one, lets only files be moved; what is said is true
        assert f"{name}.json" in host.daemon.text()
        assert (f"as {name}.json.bad" in host.daemon.text()) == os.path.lexists(files / f"{name}.json.bad")
    assert "token.key does not hold 32 bytes" in host.daemon.text()
    for name in ("b", "c", "d"):
        assert (files / f"{name}.json.bad").exists(), "set aside, not lost"
        assert f"{name}.json" in host.daemon.text()


def test_files_that_the_daemons_user_cannot_reach():
    """rolegated then stays root, without a capability, says so, and can still reload and restart."""
    host = Host()
    os.chmod(host.dir, 0o700)
    with host:
        c = host.container("c")
        host.register("c")
        assert c.role() == "web"
        status = open(f"/proc/{host.daemon_pid()}/status").read()
        for line in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
            assert f"{line}:\t0000000000000000" in status
        assert "cannot reach" in host.daemon.text() or "there is no user" in host.daemon.text()
        host.daemon.process.send_signal(signal.SIGHUP)
        host.wait(lambda: "reloaded" in host.daemon.text(), "the reload")
        host.netd.stop()
        host.netd.start()
        host.wait(lambda: host.daemon.text().count("connected to rolegate-netd") == 2, "the reconnection")
        host.daemon.stop()
        host.start_daemon()
        host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "c to be ready")


def test_the_daemons_own_user():
    """Where user rolegate exists (tests/run makes it), rolegated is it, and has no capability."""
    with Host() as host:
        status = open(f"/proc/{host.daemon_pid()}/status").read()
        assert f"Uid:\t{pwd.getpwnam('rolegate').pw_uid}\t" in status
        assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        if "ROLEGATE_SANITIZED" not in os.environ:
            assert "Seccomp:\t2" in status
            # Not dumpable: its memory is not even its own user's to read.
            result = subprocess.run(["setpriv", "--reuid", "rolegate", "--clear-groups", "/usr/bin/python3", "-c",
                                     f"open('/proc/{host.daemon_pid()}/mem')"], capture_output=True, text=True)
            assert "PermissionError" in result.stderr


def test_netd_away(host):
    host.netd.stop()
    host.container("c")
    status, answer = host.put("c", wait_s=1)
    assert status == 504 and "rolegate-netd" in answer["error"]["message"]
    assert host.api("GET", "/readyz")[0] == 503
    host.netd.start()
    host.wait(lambda: host.show("c")["state"] == "ready", "the registration to go on")
