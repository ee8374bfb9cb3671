"""The audit: what it tells, that its chain holds, and that a full disk does not stop the service."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from events import audit_directory, read_audit
from host import ROLE, SLOW, Host, binary


@pytest.fixture
def audited():
    directory = audit_directory()
    file = directory / "audit.log"
    with Host(config={"log": {"level": "debug", "audit": str(file)}}) as host:
        host.audit = file
        yield host
    shutil.rmtree(directory)


def verify(*files):
    done = subprocess.run([binary("rolegate"), "audit", "verify", *map(str, files)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def lines(host, event, **match):
    return [line for line in read_audit(host.audit)
            if line["event"] == event and all(line.get(key) == value for key, value in match.items())]


def test_a_container_s_life_in_the_audit(audited):
    host = audited
    c = host.container("c")
    entry = host.register("c", source_identity="alice", image={"ref": "web:1"})
    for _ in range(3):
        c.credentials()
    c.get("/latest/user-data")
    for _ in range(20):
        c.get("/latest/user-data")
    assert host.put("c", "other")[0] == 409
    host.unregister("c")

    call, unregister = lines(host, "operator_call", method="PUT")[0], lines(host, "operator_call", method="DELETE")[0]
    assert call["uid"] == os.getuid() and call["pid"] == os.getpid() and "loginuid" in call
    assert call["path"] == unregister["path"] == "/v1/containers/c"
    registered, = lines(host, "registered")
    assert registered["role_arn"] == ROLE + "web" and registered["image"] == "web:1"
    assert registered["source_identity"] == "alice" and registered["policy_rule"] == "all"
    assumed, = lines(host, "assumed")
    issued, = host.fake.sessions()
    assert assumed["access_key_id"] == issued["access_key_id"] == entry["access_key_id"]
    assert assumed["session_name"] == issued["session_name"] == "rolegate-c"
    assert assumed["expiration"] == entry["expiration"] and assumed["sts_request_id"]
    first, summary = lines(host, "credentials_served", access_key_id=entry["access_key_id"])
    assert "count" not in first and summary["count"] == 3
    refused = lines(host, "path_refused")
    assert refused[0]["path"] == "/latest/user-data" and refused[0]["status"] == 404
    assert len(refused) <= 1 + 21  # one a second, not one a request, unless this is very slow
    assert lines(host, "refused")[0]["code"] == "conflict"
    assert lines(host, "unregistered")[0]["message"] == "on request"
    assert [line["seq"] for line in read_audit(host.audit)] == list(range(1, len(read_audit(host.audit)) + 1))
    code, said = verify(host.audit)
    assert code == 0 and "whole" in said, said
    assert oct(host.audit.stat().st_mode & 0o777) == "0o640"


def test_every_dialect_is_audited_and_its_secrets_are_not(audited):
    host = audited
    c = host.container("c")
    environment = host.register("c")["environment"]
    uri = environment["ecs"]["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
    bearer = environment["eks"]["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    assert c.request("GET", uri, {}, address="169.254.170.2")[0] == 200
    assert c.request("GET", "/v1/credentials", {"Authorization": bearer}, address="169.254.170.23")[0] == 200
    c.get("/latest/meta-data/iam/security-credentials-extended/web")
    c.request("HEAD", uri, {}, address="169.254.170.2")  # nothing is handed out
    assert len(lines(host, "credentials_served")) == 1
    assert c.request("GET", uri + "/more", {}, address="169.254.170.2")[0] in (400, 404)
    time.sleep(1.1)
    assert c.get(uri)[0] == 404  # the id, taken to the wrong service
    time.sleep(1.1)  # one refusal a second is recorded
    odd = uri.replace("credentials/", "credentials/%" + format(ord(uri[16]), "x"))[:-1]  # nearly it, spelt otherwise
    assert c.request("GET", odd, {}, address="169.254.170.2")[0] in (400, 404)
    host.wait(lambda: len(lines(host, "path_refused")) >= 3, "the refusals")
    assert {line["path"] for line in lines(host, "path_refused")} == {"(with the credentials id)"}
    host.unregister("c")
    assert lines(host, "credentials_served")[-1]["count"] == 3
    for secret in (uri.rsplit("/", 1)[1], bearer):
        assert secret not in host.audit.read_text() and secret not in host.daemon.text()


def test_tampering_shows(audited, tmp_path):
    host = audited
    host.container("c")
    host.register("c")
    host.unregister("c")
    text = host.audit.read_text()
    all_lines = text.splitlines(keepends=True)
    assert len(all_lines) >= 5
    copy = tmp_path / "copy"
    cases = {
        "edited": text.replace(ROLE + "web", ROLE + "wob", 1),
        "one missing": "".join(all_lines[:2] + all_lines[3:]),
        "swapped": "".join([all_lines[1], all_lines[0]] + all_lines[2:]),
        "cut": text[:-20],
        "inserted": "".join(all_lines[:2] + all_lines[1:]),
        "not JSON": "".join(all_lines[:1] + ["x\n"] + all_lines[1:]),
    }
    for name, forged in cases.items():
        copy.write_text(forged)
        code, said = verify(copy)
        assert code == 1 and f"{copy}:" in said, (name, said)
    copy.write_text(text)
    code, said = verify(copy)
    assert code == 0, said
    assert verify(tmp_path / "none")[0] == 1
    done = subprocess.run([binary("rolegate"), "--json", "audit", "verify", str(copy)], capture_output=True, text=True)
    assert json.loads(done.stdout)["faults"] == 0


def test_cut_ends_show_when_asked_for(audited, tmp_path):
    """Of which the chain alone says nothing."""
    audited.container("c")
    audited.register("c")
    audited.unregister("c")
    text = audited.audit.read_text().splitlines(keepends=True)
    last = json.loads(text[-1])["hash"]
    copy = tmp_path / "copy"
    copy.write_text("".join(text))
    assert verify(copy, "--from-first", "--last", last)[0] == 0
    assert verify(copy, "--last", json.loads(text[1])["hash"])[0] == 0  # it has gone on since
    copy.write_text("".join(text[1:]))
    assert verify(copy)[0] == 0
    code, said = verify(copy, "--from-first")
    assert code == 1 and "begins with number 2" in said, said
    copy.write_text("".join(text[:-1]))
    assert verify(copy)[0] == 0
    code, said = verify(copy, "--last", last)
    assert code == 1 and "lines at the end are missing" in said, said
    copy.write_text("")
    assert verify(copy, "--from-first")[0] == verify(copy, "--last", last)[0] == 1


def test_the_chain_goes_on(audited):
    """Over restarts, crashes within a line, and rotated files."""
    host = audited
    host.container("c")
    host.register("c")
    assert host.daemon.stop() == 0
    host.start_daemon()
    assert verify(host.audit)[0] == 0
    host.wait(lambda: lines(host, "registered", message="taken up again"), "the container again")

    rotated = host.audit.with_suffix(".1")
    host.audit.rename(rotated)
    host.unregister("c")  # still into the old one
    host.daemon.process.send_signal(signal.SIGHUP)
    host.wait(lambda: lines(host, "reloaded"), "the new file")
    host.register("c")
    assert verify(rotated, host.audit)[0] == 0
    assert verify(host.audit, rotated)[0] == 1
    assert verify(host.audit)[0] == 0  # by itself it begins anywhere

    host.daemon.stop(signal.SIGKILL)
    with open(host.audit, "a") as f:
        f.write('{"seq":4711,"prev":"00')
    host.start_daemon()
    host.wait(lambda: host.show("c"), "the container")
    code, said = verify(host.audit)
    assert code == 1 and said.count("is cut") == 1 and "1 fault" in said, said


def test_a_full_disk_does_not_stop_the_service():
    directory = audit_directory()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "none", directory], check=True)
    file = directory / "audit.log"
    try:
        with Host(config={"log": {"audit": str(file)}}) as host:
            host.audit = file
            c = host.container("c")
            host.register("c")
            (directory / "filler").write_bytes(b"x" * (64 * 1024 - 4096 - (file.stat().st_size // 4096) * 4096))
            for _ in range(60):
                assert host.put("c", "other")[0] == 409
            assert "cannot be written" in host.daemon.text()
            assert host.daemon.text().count("cannot be written") <= 1 + 60 * SLOW
            assert c.credentials()["Code"] == "Success"
            (directory / "filler").unlink()
            host.unregister("c")
            assert lines_of(file)[-1]["event"] in ("unregistered", "credentials_served")
            code, said = verify(file)
            assert code == 1 and "lines are missing" in said, said
    finally:
        subprocess.run(["umount", directory], check=True)
        shutil.rmtree(directory)


def lines_of(file):
    whole = []
    for line in file.read_text().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            continue
    return whole


def test_an_audit_that_cannot_be_opened_is_told():
    host = Host(config={"log": {"audit": "/nonexistent/audit.log"}})
    try:
        host.netd.start()
        host.wait(lambda: os.path.exists(host.netd_socket), "netd's socket")
        host.daemon.start()
        assert host.daemon.process.wait(timeout=10 * SLOW) == 1
        assert "/nonexistent/audit.log" in host.daemon.text()
        host.daemon.process = None
    finally:
        host.stop()


def test_many_first_requests_are_cheap(audited):
    """A workload that asks in a loop does not fill the disk."""
    host = audited
    c = host.container("c")
    host.register("c")
    token = c.token()
    before = len(read_audit(host.audit))
    began = time.monotonic()
    for _ in range(100):
        c.get("/latest/meta-data/iam/security-credentials/web", token)
        c.get("/latest/none", token)
    assert len(read_audit(host.audit)) - before <= 2 + 2 * (time.monotonic() - began)
