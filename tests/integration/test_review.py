"""Attacks that a hostile review found to work once; each stays here so that it never does again."""

import os
import signal
import time

import pytest
from host import ROLE, SLOW, Host


def cpu_ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_destroying_the_listener_from_inside_costs_nothing_and_heals(host):
    """CAP_NET_ADMIN in the netns kills rolegate's listener: no spinning, and it is attached anew."""
    c = host.container("c")
    other = host.container("other")
    host.register("c")
    host.register("other", "batch")
    killed = c.netns.run(["ss", "-K", "-ltn", "sport", "=", ":16925"], check=False)
    if "16925" not in killed.stdout:
        # A kernel without CONFIG_INET_DIAG_DESTROY cannot be attacked this way.
        assert "16925" in c.netns.run(["ss", "-ltn"]).stdout
        return
    host.wait(lambda: "attaching it anew" in host.daemon.text(), "the loss to be noticed")
    before = cpu_ticks(host.daemon_pid())
    time.sleep(1)
    assert cpu_ticks(host.daemon_pid()) - before < 30
    assert other.role() == "batch"
    host.wait(lambda: host.show("c")["state"] == "ready", "the new listener")
    assert c.role() == "web"


def test_one_container_cannot_take_every_descriptor():
    host = Host()
    host.daemon.prefix = ["prlimit", "--nofile=200:200"]
    with host:
        greedy, modest = host.container("greedy"), host.container("modest")
        host.register("greedy")
        host.register("modest", "batch")
        hoard = []
        for _ in range(220):
            try:
                s = greedy.inside.connect(timeout=2)
                s.sendall(b"GET /latest/meta-data/ HTTP/1.1\r\nX: ")
                hoard.append(s)
            except OSError:
                pass
        before = cpu_ticks(host.daemon_pid())
        assert modest.role() == "batch"
        assert host.api("GET", "/readyz")[0] == 200
        host.container("third")
        host.register("third", "third")
        time.sleep(1)
        assert cpu_ticks(host.daemon_pid()) - before < 100
        assert len(host.daemon.text()) < 1_000_000
        for s in hoard:
            s.close()


def test_stopping_while_registrations_wait(host):
    """Was a use after free; the sanitizers' build of this suite says when it is again."""
    import threading
    host.fake.set(sts_down=True)
    for name in ("a", "b"):
        host.container(name)
    threads = [threading.Thread(target=lambda n=name: _ignore(lambda: host.put(n, wait_s=60)), daemon=True)
               for name in ("a", "b")]
    for thread in threads:
        thread.start()
    host.wait(lambda: len(host.api("GET", "/v1/containers")[1]["containers"]) == 2, "both to wait")
    time.sleep(0.3)
    assert host.daemon.stop() == 0


def _ignore(call):
    try:
        call()
    except (OSError, Exception):  # noqa: B014  the connection breaks: that is the point
        pass


def test_an_id_registered_again_while_its_first_attach_is_under_way(host):
    import threading
    c = host.container("c")
    for _ in range(6):
        first = threading.Thread(target=lambda: _ignore(lambda: host.put("c")))
        first.start()
        time.sleep(0.008)
        host.unregister("c")
        host.register("c")
        first.join()
        assert c.role() == "web", "registered and ready, but its interception was taken down"
        host.unregister("c")


def test_a_missing_policy_file_changes_nothing(host):
    c = host.container("c")
    host.register("c")
    text = host.policy_file.read_text()
    host.policy_file.unlink()
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: "stays in force" in host.daemon.text(), "the refusal")
    assert c.role() == "web"
    host.daemon.stop()
    host.daemon.start()  # without a policy nothing is served, and nothing is forgotten
    host.wait(lambda: "no policy file" in host.daemon.text(), "the start")
    host.wait(lambda: host.ready(), "readiness")
    assert host.put("new", "x", netns=c.netns.path)[0] == 403
    host.policy_file.write_text(text)
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "c to be taken up again")
    assert c.role() == "web"


def test_a_link_in_the_state_directory_leads_nowhere():
    host = Host()
    try:
        victim = host.dir / "victim"
        victim.mkdir()
        (victim / "shadow").write_text("x")
        host.state_dir.mkdir()
        os.symlink(victim, host.state_dir / "containers")
        host.netd.start()
        host.wait(lambda: os.path.exists(host.netd_socket), "netd")
        host.daemon.start()
        assert host.daemon.process.wait(timeout=20) == 1
        host.daemon.process = None
        assert (victim / "shadow").stat().st_uid == 0 and victim.stat().st_uid == 0
    finally:
        host.stop()


def test_a_hard_link_in_the_state_directory_is_not_given_away():
    """The state is rolegated's user's; root, starting rolegated by hand, must give it nobody else's file."""
    host = Host()
    try:
        victim = host.dir / "victim"
        victim.write_text("{}")
        (host.state_dir / "containers").mkdir(parents=True)
        os.link(victim, host.state_dir / "containers" / "c.json")
        host.start()
        assert victim.stat().st_uid == 0
        assert (host.state_dir / "containers").stat().st_uid != 0
    finally:
        host.stop()


def test_a_port_taken_for_a_moment_at_a_restart_loses_nothing(host):
    c = host.container("c")
    host.register("c")
    host.daemon.stop()
    host.netd.stop()
    with c.netns.socket() as s:
        s.setsockopt(1, 2, 1)
        s.bind(("127.0.0.1", 16925))
        s.listen()
        host.netd.start()
        host.daemon.start()
        host.wait(lambda: "trying again" in host.daemon.text(), "the failure")
    host.wait(lambda: (host.show("c") or {}).get("state") == "ready", "c to be taken up again")
    assert c.role() == "web"


def test_a_new_netns_under_an_old_path_gets_nothing(host):
    """Even when the kernel gives it the old one's inode number: the netns cookie tells."""
    import subprocess
    c = host.container("c")
    host.register("c")
    path, name = c.netns.path, c.netns.name
    inode = os.stat(path).st_ino
    host.daemon.stop(signal.SIGKILL)
    host.netd.stop(signal.SIGKILL)
    c.netns.close()
    spare = []
    for i in range(200):  # until the number comes round again
        subprocess.run(["ip", "netns", "add", name], check=True)
        if os.stat(path).st_ino == inode:
            break
        subprocess.run(["ip", "netns", "del", name], check=True)
    try:
        host.start()
        host.wait(lambda: host.show("c") is None, "the dead one to be dropped")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)
    assert spare == []


def test_the_same_body_again_after_the_defaults_changed(host):
    host.container("c")
    host.register("c")
    host.settings["imds"] = {"hop_limit": 3, "tokens": "optional"}
    host.write_settings()
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: "reloaded" in host.daemon.text(), "the reload")
    host.register("c", expect=200)
    status, answer = host.put("c", hop_limit=3)
    assert status == 409 and answer["error"]["field"] == "hop_limit"


def test_memory_of_pipelined_answers_is_bounded(host):
    """A peer that sends requests and reads nothing makes rolegated keep little."""
    c = host.container("c")
    host.register("c")
    token = c.token()
    request = (f"GET /latest/meta-data/iam/security-credentials/web HTTP/1.1\r\nHost: 169.254.169.254\r\n"
               f"X-aws-ec2-metadata-token: {token}\r\n\r\n").encode()

    def rss():
        return int(next(l for l in open(f"/proc/{host.daemon_pid()}/status") if l.startswith("RssAnon")).split()[1])

    before, sockets = rss(), []
    for _ in range(60):
        s = c.inside.connect()
        s.setblocking(False)
        try:
            while True:
                s.send(request * 100)
        except BlockingIOError:
            pass
        sockets.append(s)
    time.sleep(0.5 * SLOW)
    if "ROLEGATE_SANITIZED" not in os.environ:
        assert rss() - before < 20_000, "KiB"
    assert c.role() == "web"
    for s in sockets:
        s.close()


@pytest.mark.parametrize("path", ["/proc/self/ns/mnt", "/dev/null"])
def test_refused_netns_paths_leave_no_trace(host, path):
    status, answer = host.put("x", ROLE + "web", netns=path)
    assert status == 422 and host.show("x") is None
