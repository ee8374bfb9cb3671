"""rolegate launch: a whole launch on a host without an engine."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from bundles import RUNC, open_files, rootfs, spec, words
from host import ROLE, SLOW, Host, binary

# What a workload sees of its confinement, one line a finding; run by /bin/sh of busybox.
CHECKLIST = """
grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
echo uidmap $(cat /proc/self/uid_map)
echo hostname $(hostname)
echo pids $(ls -d /proc/[0-9]* | wc -l)
echo nofile $(ulimit -n)
echo interfaces $(ls /sys/class/net)
for path in /proc/kcore /proc/keys /sys/firmware /proc/timer_list; do
    echo masked $path $(cat $path 2>/dev/null | wc -c) $(ls -A $path | grep -v $path | wc -l); done
touch /sys/x 2>/dev/null && echo WROTE /sys
echo 1 > /proc/sys/kernel/panic 2>/dev/null && echo WROTE /proc/sys
mount -t tmpfs tmpfs /tmp 2>/dev/null && echo MOUNTED
unshare -U true 2>/dev/null && echo UNSHARED
mknod /dev/vda b 254 0 2>/dev/null && echo MKNOD
ls -l /etc/owned | awk '{print "owner", $3}'
cat /sys/fs/cgroup/*/x 2>/dev/null
touch /root-is-writable 2>/dev/null && echo WROTE /
touch /tmp/x && echo tmp is writable
"""
# To something on the network that answers by HTTP.
REACH = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 3 10.99.0.1 8000"


@pytest.fixture(scope="module")
def shared():
    with Launcher() as launcher:
        yield launcher


@pytest.fixture
def launcher():
    with Launcher() as launcher:
        yield launcher


class Launcher:
    def __init__(self, **runtime):
        self.host = Host({"runtime": {"path": RUNC, "account": "123456789012", **runtime}})

    def __enter__(self):
        self.host.__enter__()
        self.state = self.host.dir / "launches"
        self.rootfs = self.host.dir / "rootfs"
        subprocess.run(["cp", "-a", rootfs(), self.rootfs], check=True)
        for name in ("hostname", "unshare", "mknod", "touch", "awk", "grep", "wc", "kill", "ulimit"):
            (self.rootfs / "bin" / name).symlink_to("busybox")
        (self.rootfs / "etc" / "owned").write_text("")
        return self

    def __exit__(self, *arguments):
        return self.host.__exit__(*arguments)

    def command(self, *arguments):
        return ["nsenter", f"--net={self.host.netns.path}", binary("rolegate"), "--config", self.host.config, "launch",
                "--state-dir", str(self.state), *map(str, arguments)]

    def call(self, *arguments, **kwargs):
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60 * SLOW,
                                stdin=subprocess.DEVNULL, **kwargs)
        return result.returncode, result.stdout, result.stderr

    def run(self, *arguments, command=("/imds",)):
        return self.call(*arguments, self.rootfs, "--", *command)

    def start(self, *arguments, command=("/imds", "hold")):
        out = self.host.dir / "out"
        with open(out, "w") as f:
            process = subprocess.Popen(self.command(*arguments, self.rootfs, "--", *command), stdin=subprocess.DEVNULL,
                                       stdout=f, stderr=subprocess.STDOUT)
        return process, out

    def leftovers(self):
        """What is there of launches: directories, cgroups, mounts, processes, registrations."""
        found = [p.name for p in self.state.iterdir() if p.name != "runc"] if self.state.exists() else []
        found += [str(p) for p in (self.state / "runc").glob("*")]
        found += [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if str(self.state) in line]
        found += [c["id"] for c in self.host.api("GET", "/v1/containers")[1]["containers"]]
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                comm = (proc / "comm").read_text().strip()
                if comm in ("rolegate-netns", "rolegate-guard") and self.is_ours(proc):
                    found.append(f"{proc.name} {comm}")
            except OSError:
                pass
        return found

    def is_ours(self, proc):
        return str(self.state) in (proc / "cmdline").read_text()


def test_first_instruction_has_its_role(shared):
    code, out, err = shared.run("--role", "team/web")
    assert code == 0 and words(out)["role"] == "web", (out, err)
    issued = {s["access_key_id"]: s["role_arn"] for s in shared.host.fake.sessions()}
    assert issued[words(out)["key"]] == ROLE + "team/web"
    assert shared.leftovers() == []


def test_ten_of_ten_with_a_slow_sts(launcher):
    """Fifty with an STS of one second: tests/engines/test_many.py."""
    launcher.host.fake.set(sts_delay_s=0.2)
    for n in range(10):
        code, out, err = launcher.run("--role", f"role-{n}")
        assert code == 0 and words(out)["role"] == f"role-{n}", (n, out, err)
    assert launcher.leftovers() == []


def test_the_checklist_from_inside(shared):
    code, out, err = shared.run("--role", "web", "--name", "inside", "--read-only", command=["/bin/sh", "-c", CHECKLIST])
    assert code == 0, (out, err)
    lines = out.splitlines()
    status = {line.split(":")[0]: line.split()[1] for line in lines if ":" in line and line[0] in "CNS"}
    for capability in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert status[capability] == "0000000000000000", out
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    found = {line.split()[0]: line.split()[1:] for line in lines}
    base = int(found["uidmap"][1])
    assert found["uidmap"] == ["0", str(base), "65536"] and base >= 0x70000000
    assert found["hostname"] == ["inside"] and int(found["pids"][0]) < 10 and found["nofile"] == ["1024"]
    assert found["interfaces"] == ["lo"], out
    masked = [line.split()[1:] for line in lines if line.startswith("masked")]
    assert len(masked) == 4 and all(size == "0" and entries == "0" for _, size, entries in masked), masked
    for word in ("WROTE", "MOUNTED", "UNSHARED", "MKNOD"):
        assert not any(line.startswith(word) for line in lines), out
    assert found["owner"] == ["0"] and "tmp is writable" in lines, out


def test_no_network_but_the_metadata(shared):
    code, out, err = shared.run("--role", "web", command=["/bin/sh", "-c", f"/imds; ip route; {REACH}"])
    assert words(out)["role"] == "web" and "HTTP/1" not in out and "default" not in out, (out, err)
    code, out, err = shared.run()
    assert code == 1 and out.startswith("failed token"), (out, err)


def test_low_ports_without_capabilities(shared):
    script = "/bin/busybox nc -l -p 80 & sleep 0.5; /bin/busybox netstat -ltn"
    code, out, err = shared.run("--user", "1000", command=["/bin/sh", "-c", script])
    assert code == 0 and ":80 " in out, (out, err)


def test_limits(shared):
    script = "i=0; while [ $i -lt 30 ]; do sleep 2 & i=$((i+1)); done; wait; echo all"
    code, out, err = shared.run("--pids", "10", command=["/bin/sh", "-c", script])
    assert "can't fork" in err and "all" not in out, (out, err)
    script = "x=$(/bin/busybox dd if=/dev/zero bs=1M count=64 2>/dev/null | /bin/busybox tr '\\0' x); echo ${#x}"
    code, out, err = shared.run("--memory", "16M", command=["/bin/sh", "-c", script])
    assert "67108864" not in out, (code, out, err)
    code, out, err = shared.run("--memory", "1G", "--cpus", "1.5", "--rlimit", "NOFILE=100:200",
                                command=["/bin/sh", "-c", script + "; ulimit -n"])
    assert code == 0 and out.split() == ["67108864", "100"], (code, out, err)


def test_exit_status_and_signals(shared):
    assert shared.run(command=["/bin/sh", "-c", "exit 42"])[0] == 42
    assert shared.run(command=["/bin/sh", "-c", "kill -9 $$; sleep 0.2"])[0] == 0  # process 1 cannot kill itself
    assert shared.run(command=["/no/such/program"])[0] != 0
    process, out = shared.start(command=["/bin/sh", "-c", "trap 'echo got it; exit 7' TERM; echo up; while :; do sleep 0.1; done"])
    shared.host.wait(lambda: "up" in out.read_text(), "the container")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30 * SLOW) == 7 and "got it" in out.read_text()
    assert shared.leftovers() == []


def test_options(shared):
    data = shared.host.dir / "data"
    data.mkdir(exist_ok=True)
    (data / "file").write_text("hello")
    code, out, err = shared.run(
        "--role", "web", "--env", "A=b c", "--workdir", "/tmp", "--user", "1000:100", "--hostname", "box", "--mount",
        f"{data}:/etc/data:ro", "--tmpfs", "/usr", "--cap", "CHOWN", "--tag", "team=web", "--label", "x=y",
        command=["/bin/sh", "-c", "echo $A; pwd; id -u; id -g; hostname; cat /etc/data/file; "
                                  "echo x > /etc/data/file; touch /usr/x; ls /usr; grep CapBnd /proc/self/status"])
    assert out.split("\n")[:6] == ["b c", "/tmp", "1000", "100", "box", "hello" + out.split("\n")[5][5:]], (out, err)
    assert (data / "file").read_text() == "hello" and "CapBnd:\t0000000000000001" in out, out


def test_writes_go_to_the_root_as_its_owner(shared):
    code, out, err = shared.run(command=["/bin/sh", "-c", "echo x > /etc/new && ls -ln /etc/new"])
    assert code == 0 and out.split()[2:4] == ["0", "0"], (out, err)
    status = (shared.rootfs / "etc" / "new").stat()
    assert (status.st_uid, status.st_gid) == (0, 0)


def test_region_and_container_credentials(shared):
    code, out, err = shared.run("--role", "web", "--credentials", "ecs", command=["/bin/sh", "-c", "env"])
    environ = dict(line.split("=", 1) for line in out.splitlines())
    assert code == 0 and environ["AWS_REGION"] == "us-east-1", (out, err)
    assert environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"].startswith("/v2/credentials/")
    fetch = "wget -q -O - http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    code, out, err = shared.run("--role", "web", "--credentials", "ecs", command=["/bin/sh", "-c", fetch])
    assert code == 0 and json.loads(out)["RoleArn"] == ROLE + "web", (out, err)
    code, out, err = shared.run("--role", "web", "--credentials", "eks", command=["/bin/sh", "-c", "env"])
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI=" in out, (out, err)


def test_print_config(shared):
    code, out, err = shared.run("--role", "web", "--name", "shown", "--print-config")
    config = json.loads(out)
    assert code == 0 and config["process"]["args"] == ["/imds"] and config["process"]["noNewPrivileges"] is True, err
    assert config["process"]["capabilities"] == {"bounding": [], "effective": [], "permitted": []}
    kinds = {n["type"] for n in config["linux"]["namespaces"]}
    assert kinds == {"pid", "ipc", "uts", "mount", "cgroup", "network", "user"}
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {n for r in config["linux"]["seccomp"]["syscalls"] if r["action"] == "SCMP_ACT_ALLOW" and "args" not in r
               for n in r["names"]}
    assert not allowed & {"mount", "umount2", "unshare", "setns", "clone", "clone3", "bpf", "ptrace", "keyctl", "add_key",
                          "perf_event_open", "userfaultfd", "process_vm_readv", "init_module", "kexec_load", "reboot",
                          "open_by_handle_at", "pivot_root", "io_uring_setup", "move_mount", "fsopen", "personality"}
    assert shared.leftovers() == []


def test_a_bundle(shared):
    bundle = shared.host.dir / "bundle"
    bundle.mkdir(exist_ok=True)
    config = spec(["/imds"], annotations={"rolegate.io/role": "web"}, capabilities=["CAP_SYS_ADMIN", "CAP_NET_ADMIN"],
                  env=["FROM=bundle"], netns=None)
    config["process"]["noNewPrivileges"] = False
    config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]
    config["root"]["path"] = str(shared.rootfs)
    (bundle / "config.json").write_text(json.dumps(config))
    code, out, err = shared.call(bundle)
    assert code == 0 and words(out)["role"] == "web", (out, err)
    code, out, err = shared.call(bundle, "--", "/bin/sh", "-c", "env; ulimit -n; grep -E 'CapBnd|NoNew' /proc/self/status")
    assert "FROM=bundle" in out and "\n50\n" in out and "CapBnd:\t0000000000000000" in out and "NoNewPrivs:\t1" in out


def make_bundle(shared, name, **kwargs):
    bundle = shared.host.dir / name
    bundle.mkdir()
    config = spec(["/imds"], netns=None, **kwargs)
    config["process"]["rlimits"] = []
    config["root"]["path"] = str(shared.rootfs)
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


def test_a_bundle_speaks_for_no_engine():
    """Tools make an image's labels the annotations of the bundle: it could say that it is the signed one."""
    policy = {"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"], "images": ["registry.example.com/web*"]},
                                      {"name": "team", "roles": [ROLE + "team"], "labels": {"team": "a"}}]}
    digest = "sha256:" + "5a" * 32
    with Launcher() as shared:
        shared.host.set_policy(policy)
        lie = {"rolegate.io/role": "web", "io.kubernetes.cri.image-name": f"registry.example.com/web:1@{digest}"}
        code, out, err = shared.call(make_bundle(shared, "lie", annotations=lie))
        assert code == 4 and out == "" and "no rule allows" in err, (out, err)
        labels = {"rolegate.io/role": "team", "rolegate.io/labels": "team=a"}
        code, out, err = shared.call(make_bundle(shared, "own", annotations=labels))
        assert code == 0 and words(out)["role"] == "team", (out, err)
        code, out, err = shared.call(make_bundle(
            shared, "converted", annotations=labels | {"org.opencontainers.image.os": "linux"}))
        assert code == 1 and out == "" and "rolegate.io/labels" in err and "--role" in err, (out, err)
        assert shared.leftovers() == []


def test_mounts_of_a_bundle(shared):
    bundle = make_bundle(shared, "mounts", mounts=[
        {"destination": "/usr", "type": "bind", "source": "data", "options": ["rbind", "ro", "rsuid", "rdev", "suid", "dev"]}])
    (bundle / "data").mkdir()
    (bundle / "data" / "file").write_text("of the bundle\n")
    code, out, err = shared.call(bundle, "--", "/bin/sh", "-c", "cat /usr/file; grep ' /usr ' /proc/mounts")
    assert code == 0 and "of the bundle" in out and "nosuid" in out and "nodev" in out, (out, err)
    # To rolegate's own directory, from where the bundle was.
    up = "../" * 12 + str(shared.host.state_dir)[1:]
    bundle = make_bundle(shared, "up", mounts=[{"destination": "/usr", "type": "bind", "source": up, "options": ["rbind"]}])
    code, out, err = shared.call("--no-userns", bundle)
    assert code == 1 and "control.sock" in err and out == "", (out, err)
    for n, destination in enumerate(("//proc", "/./sys", "/x/../sys", "/sys/..", "proc")):
        bundle = make_bundle(shared, f"d{n}", mounts=[{"destination": destination, "type": "bind", "source": "/sys",
                                                       "options": ["rbind"]}])
        code, out, err = shared.call(bundle)
        assert code == 1 and "mounts" in err and out == "", (destination, out, err)


@pytest.mark.parametrize("arguments, said", [
    (["--cap", "SYS_ADMIN"], "SYS_ADMIN"), (["--cap", "NET_ADMIN"], "NET_ADMIN"), (["--cap", "NET_RAW"], "NET_RAW"),
    (["--network", "host"], "host"), (["--network", "no-such"], "no-such"), (["--name", "../x"], "--name"),
    (["--memory", "lots"], "--memory"), (["--user", "root"], "--user"), (["--mount", "x:y"], "--mount"),
    (["--rlimit", "X=1"], "--rlimit"), (["--env", "X"], "--env"), (["--external-id", "abc"], "--role"),
    (["--credentials", "file"], "--credentials"), (["--role", "web", "--duration", "12"], "duration_s"),
])
def test_bad_options(shared, arguments, said):
    code, out, err = shared.run(*arguments, command=["/bin/sh", "-c", "echo started"])
    assert code in (1, 2) and said in err and "started" not in out, (code, out, err)
    assert shared.leftovers() == []


def test_bad_arguments(shared):
    for arguments, code, said in (([], 2, "missing"), (["/no/such"], 1, "No such file"), (["/etc/passwd"], 1, "Not a directory"),
                                  ([shared.rootfs], 2, "what to run"), (["--reap", "x"], 2, "--reap")):
        status, _, err = shared.call(*arguments)
        assert status == code and said in err, (arguments, status, err)


def test_sockets_of_rolegate_may_not_be_mounted(shared):
    code, out, err = shared.run("--no-userns", "--mount", f"{shared.host.state_dir}:/tmp", command=["/bin/sh", "-c", "echo started"])
    assert code == 1 and "control.sock" in err and "started" not in out, (out, err)
    assert shared.leftovers() == []


def test_the_hosts_own_root_is_no_containers(shared, tmp_path):
    """Its files would be the container's: a link to it in the root's place is enough."""
    (tmp_path / "rootfs").symlink_to("/")
    for path in ("/", tmp_path / "rootfs"):
        code, out, err = shared.call(path, "--", "/bin/echo", "started")
        assert code == 1 and "control.sock" in err and "started" not in out, (out, err)
    assert shared.leftovers() == []


def test_policy_first(launcher):
    launcher.host.set_policy({"version": 1, "rules": [{"name": "web", "roles": [ROLE + "web"], "labels": {"team": "web"}}]})
    code, out, err = launcher.run("--role", "web")
    assert code == 4 and "no rule allows" in err and not launcher.state.exists(), (code, err)
    assert launcher.host.fake.requests("sts", action="AssumeRole") == []


def test_denied_by_sts(launcher):
    launcher.host.fake.set(sts_error="AccessDenied")
    code, out, err = launcher.run("--role", "web", command=["/bin/sh", "-c", "echo started"])
    assert code == 4 and "AccessDenied" in err and ROLE + "web" in err and "started" not in out, (code, err)
    assert launcher.leftovers() == []


def test_no_daemon(launcher):
    launcher.host.daemon.stop()
    code, out, err = launcher.run("--role", "web", command=["/bin/sh", "-c", "echo started"])
    assert code == 3 and "no daemon" in err and "started" not in out, (code, err)
    launcher.host.start_daemon()
    assert launcher.leftovers() == []


@pytest.mark.parametrize("also_the_guardian", [False, True])
def test_a_killed_launcher_leaves_nothing(launcher, also_the_guardian):
    launcher.run("--role", "warm", "--name", "warm")
    launcher.host.wait(lambda: "container=warm detached" in launcher.host.netd.text(), "its end")
    before = open_files(launcher.host)
    process, out = launcher.start("--role", "web", "--name", "victim")
    launcher.host.wait(lambda: "key " in out.read_text(), "the client")
    pid = json.loads(subprocess.run([RUNC, "--root", launcher.state / "runc", "state", "victim"], capture_output=True,
                                    check=True).stdout)["pid"]
    # nsenter has become rolegate; its children are the guardian, the netns's keeper and runc.
    if also_the_guardian:
        for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "rolegate-guard":
                os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait()
    launcher.host.wait(lambda: launcher.host.show("victim") is None, "the end of the identity")
    if also_the_guardian:
        assert (launcher.state / "victim").exists()
        code, out, err = launcher.call("--reap")
        assert code == 0 and "victim" in err, (code, out, err)
    launcher.host.wait(lambda: launcher.leftovers() == [], "the guardian")
    launcher.host.wait(lambda: not os.path.exists(f"/proc/{pid}") or
                       pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z", "the end of the container")
    launcher.host.wait(lambda: all(now <= then for now, then in zip(open_files(launcher.host), before)), "the listeners' end")


def test_a_directory_that_is_none_of_a_launch_is_left_alone(launcher):
    """--state-dir /etc, say, must not cost what is in there."""
    launcher.call("--reap")
    other = launcher.state / "ssh"
    other.mkdir()
    (other / "sshd_config").write_text("precious")
    (launcher.state / "empty").mkdir()
    for text in ("", "garbage", "1 2"):  # nor one whose launcher is not known
        (other / "launcher").write_text(text)
        assert launcher.call("--reap")[0] == 0
        assert launcher.run(command=["/bin/true"])[0] == 0
    (other / "launcher").unlink()
    assert launcher.run(command=["/bin/true"])[0] == 0
    assert (other / "sshd_config").read_text() == "precious" and (launcher.state / "empty").is_dir()
    # A launcher that died before it said who it is: its name can be had again.
    (launcher.state / "unborn").mkdir()
    (launcher.state / "unborn" / ".launcher.new").write_text("1")
    code, out, err = launcher.run("--name", "unborn", command=["/bin/true"])
    assert code == 0, err
    code, out, err = launcher.run("--name", "ssh")
    assert code == 1 and "launched already" in err and (other / "sshd_config").exists(), err


def test_names_are_unique_and_ids_do_not_overlap(launcher):
    process, out = launcher.start("--role", "web", "--name", "one")
    launcher.host.wait(lambda: "key " in out.read_text(), "the client")
    code, _, err = launcher.run("--name", "one")
    assert code == 1 and "launched already" in err, err
    code, text, err = launcher.run("--name", "two", command=["/bin/cat", "/proc/self/uid_map"])
    assert code == 0 and int(text.split()[1]) == 0x70010000, (text, err)
    assert launcher.host.show("one")["state"] == "ready"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30 * SLOW) == 0
    assert launcher.leftovers() == []


def test_a_cni_network(launcher):
    run = launcher.host.dir / "cni"
    conflist = launcher.host.dir / "net.conflist"
    conflist.write_text(json.dumps({"cniVersion": "0.4.0", "name": "net", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
         "ipam": {"type": "host-local", "dataDir": str(run), "routes": [{"dst": "0.0.0.0/0"}],
                  "ranges": [[{"subnet": "10.97.0.0/24"}]]}}]}))
    script = f"/imds; ip -4 addr show dev eth0; {REACH}"
    code, out, err = launcher.run("--role", "web", "--network", conflist, command=["/bin/sh", "-c", script])
    assert words(out)["role"] == "web" and "inet 10.97.0.2/24" in out, (out, err)
    assert "HTTP/1" in out, (out, err)
    assert [p.name for p in (run / "net").iterdir() if p.name[0].isdigit()] == []
    # Killed, its address comes back, too.
    process, out = launcher.start("--role", "web", "--network", conflist)
    launcher.host.wait(lambda: "key " in out.read_text(), "the client")
    assert [p.name for p in (run / "net").iterdir() if p.name[0].isdigit()] == ["10.97.0.3"]
    process.kill()
    process.wait()
    launcher.host.wait(lambda: launcher.leftovers() == [] and
                       not [p for p in (run / "net").iterdir() if p.name[0].isdigit()], "the guardian")
    links = launcher.host.netns.run(["ip", "-o", "link"]).stdout
    assert "veth" not in links.replace("ve0", ""), links


def test_network_failures_are_undone(launcher):
    plugins = launcher.host.dir / "plugins"
    plugins.mkdir()
    log = launcher.host.dir / "log"
    for name, body in (("good", "cat >/dev/null; echo '{\"cniVersion\":\"1.0.0\"}'"),
                       ("bad", "cat >/dev/null; [ $CNI_COMMAND = DEL ] && exit 0; "
                               "echo '{\"code\":100,\"msg\":\"no more addresses\"}'; exit 1")):
        program = plugins / name
        program.write_text(f"#!/bin/sh\necho {name} $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME >> {log}\n{body}\n")
        program.chmod(0o755)
    conflist = launcher.host.dir / "net.conflist"
    conflist.write_text(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "good"}, {"type": "bad"}]}))
    result = subprocess.run(launcher.command("--role", "web", "--name", "x", "--network", conflist, launcher.rootfs, "--",
                                             "/imds"), capture_output=True, text=True,
                            env=os.environ | {"CNI_PATH": str(plugins)})
    assert result.returncode == 1 and "no more addresses" in result.stderr and result.stdout == "", result
    calls = log.read_text().splitlines()
    assert calls[:4] == ["good ADD x eth0", "bad ADD x eth0", "bad DEL x eth0", "good DEL x eth0"], calls
    assert launcher.leftovers() == [] and launcher.host.fake.requests("sts", action="AssumeRole") == []


def test_the_identity_ends_before_the_network(launcher):
    """An address that is free again may be another's."""
    log = launcher.host.dir / "log"
    plugins = launcher.host.dir / "plugins"
    plugins.mkdir()
    program = plugins / "look"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\n{binary('rolegate')} --socket {launcher.host.control_socket} show x >/dev/null 2>&1\n"
                       f"echo $CNI_COMMAND $? >> {log}\necho '{{\"cniVersion\":\"1.0.0\"}}'\n")
    program.chmod(0o755)
    conflist = launcher.host.dir / "net.conflist"
    conflist.write_text(json.dumps({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "look"}]}))
    result = subprocess.run(launcher.command("--role", "web", "--name", "x", "--network", conflist, launcher.rootfs, "--",
                                             "/imds"), capture_output=True, text=True,
                            env=os.environ | {"CNI_PATH": str(plugins)})
    assert result.returncode == 0 and log.read_text().splitlines() == ["ADD 1", "DEL 1"], (result, log.read_text())


def test_nobody_but_root_may_prepare_a_launch(launcher):
    launcher.state.mkdir(mode=0o777)
    launcher.state.chmod(0o777)
    code, out, err = launcher.run()
    assert code == 1 and "others than root" in err, err
    shutil.rmtree(launcher.state)
