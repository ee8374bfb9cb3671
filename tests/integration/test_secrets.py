"""Secrets stay where they belong: not in a log, an error, a file, a core, nor in memory once they are let go."""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

from events import Follower, audit_directory
from host import ALLOW_ALL, WRAPPER, Host

HOST_SECRETS = [b"HOSTSECRET", b"HOSTTOKEN"]
SANITIZED = bool(os.environ.get("ROLEGATE_SANITIZED"))


def find(text, secrets):
    return [secret for secret in secrets if secret in text]


def files_beneath(directory):
    for path in pathlib.Path(directory).rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path


def test_no_secret_in_any_output():
    directory = audit_directory()
    with Host(config={"log": {"level": "debug", "audit": str(directory / "audit")}}) as host:
        follower = Follower(host)
        secrets, outputs = list(HOST_SECRETS), []
        for i, fault in enumerate(({}, {"sts_http_status": 500}, {"sts_truncate": True}, {"sts_garbage": True},
                                   {"sts_error": "AccessDenied"}, {"sts_error": "ExpiredToken"},
                                   {"sts_oversize": 2_000_000}, {"sts_close": True}, {})):
            c = host.container(f"c{i}")
            host.fake.set(**fault)
            outputs.append(str(host.put(f"c{i}", f"r{i}", wait_s=1, external_id=f"external-secret-{i}")))
            outputs.append(str(c.get(f"/latest/meta-data/iam/security-credentials/r{i}")[2])
                           if fault else "")
            host.fake.reset()
            host.api("POST", f"/v1/containers/c{i}/refresh")
            host.wait(lambda: host.show(f"c{i}")["state"] == "ready", "credentials", 30)
            document = c.credentials()
            secrets += [document["SecretAccessKey"].encode(), document["Token"].encode()]
            for path in ("/latest/meta-data/iam/security-credentials/other", "/latest/user-data", "/x" * 5000):
                outputs.append(str(c.request("GET", path, {})[2]))
        secrets += [token.encode() for token in (c.token(),)]
        outputs.append(str(host.api("GET", "/v1/containers")))
        outputs += [str(host.show(f"c{i}")) for i in range(9)]
        connection = host_metrics(host)
        outputs.append(connection)
        host.daemon.process.send_signal(signal.SIGHUP)
        follower.wait_for("reloaded")
        outputs.append(json.dumps(follower.seen))
        follower.close()
        assert len(secrets) > 20
        for output in outputs:
            assert not find(output.encode(), secrets), output[:2000]
        assert host.daemon.stop() == 0
        for path in [*files_beneath(host.state_dir), *files_beneath(directory), pathlib.Path(host.daemon.log),
                     pathlib.Path(host.netd.log)]:
            assert not find(path.read_bytes(), secrets), path
        # The key of the session tokens is the one secret that is kept: for its owner alone.
        assert (host.state_dir / "token.key").stat().st_mode & 0o077 == 0
        host.start_daemon()
    shutil.rmtree(directory)


def host_metrics(host):
    from host import UnixConnection
    connection = UnixConnection(host.control_socket, 10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def memory_of(pid):
    """All that the process could read or write of its own."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if "r" not in mode or "[v" in line:
                continue
            try:
                memory.seek(int(start, 16))
                yield memory.read(int(end, 16) - int(start, 16))
            except (OSError, ValueError):
                continue


def check_credentials_are_wiped(host):
    """What a container had is nowhere in the process once it is unregistered."""
    c = host.container("c")
    other = host.container("other")
    host.register("c")
    document = c.credentials()
    secrets = [document["SecretAccessKey"].encode(), document["Token"].encode()]
    pid = host.daemon.process.pid
    assert any(find(part, secrets) for part in memory_of(pid)), "this test looks in the wrong place"
    host.unregister("c")
    host.register("other", "other")  # what was in buffers is overwritten by what comes next, if not before
    other.credentials()
    host.unregister("other")
    found = [secret for part in memory_of(pid) for secret in find(part, secrets)]
    assert not found


def test_the_environment_is_emptied():
    host = Host(config={"aws": {"base_credentials": "environment"}},
                fake_options=["--static-key", "AKIATEST:STATICSECRET/1"])
    try:
        host.netd.start()
        host.wait(lambda: os.path.exists(host.netd_socket), "netd's socket")
        host.start_daemon(AWS_ACCESS_KEY_ID="AKIATEST", AWS_SECRET_ACCESS_KEY="STATICSECRET/1")
        host.container("c")
        host.register("c")
        environ = pathlib.Path(f"/proc/{host.daemon.process.pid}/environ").read_bytes()
        assert b"STATICSECRET" not in environ
        assert b"STATICSECRET" not in host.daemon.text().encode()
    finally:
        host.stop()


def dumped_core(process):
    """Whether the kernel wrote a core of this process when the signal ended it."""
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    assert process.returncode == -signal.SIGSEGV
    return os.WCOREDUMP(status)


def check_no_core(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (old[1], old[1]))
    try:
        with Host(policy=ALLOW_ALL) as host:
            host.container("c")
            host.register("c")
            process, host.daemon.process = host.daemon.process, None
            assert pathlib.Path(f"/proc/{process.pid}/limits").read_text().count("Max core file size        0") == 1
            process.send_signal(signal.SIGSEGV)
            assert not dumped_core(process)
            # And not for want of permission here: another program's would be.
            other = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
            pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
            host.wait(lambda: pathlib.Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n", "sleep")
            other.send_signal(signal.SIGSEGV)
            assert dumped_core(other) or old[1] == 0 or pattern.startswith(("|", "/"))
            host.start_daemon()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, old)


# Sanitizers and valgrind keep freed memory, and catch the signal: there is nothing to test there.
if not SANITIZED and not WRAPPER:
    test_credentials_are_wiped = check_credentials_are_wiped
    test_no_core = check_no_core
