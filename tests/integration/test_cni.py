"""rolegate-cni as a container network runtime calls it."""

import json
import os
import subprocess

import pytest

from host import ROLE, SLOW, Host, binary

PREV = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}],
        "ips": [{"interface": 0, "address": "10.98.1.2/32"}], "routes": [], "dns": {}}


@pytest.fixture
def host():
    with Host({"runtime": {"account": "123456789012"}}) as host:
        yield host


@pytest.fixture(scope="module")
def shared():
    with Host({"runtime": {"account": "123456789012"}}) as host:
        yield host


def cni(host, command, name, netns="", network=None, cni_args="", prev=PREV, **extra):
    """Calls the plugin: (status, answer)."""
    container = host.containers.get(name)
    config = {"cniVersion": "1.0.0", "name": "net", "type": "rolegate-cni", "rolegate_config": host.config, **extra}
    if prev and command in ("ADD", "CHECK"):
        config["prevResult"] = prev
    environ = {"PATH": os.environ["PATH"], "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0",
               "CNI_NETNS": netns or (container.netns.path if container else ""), "CNI_ARGS": cni_args, "CNI_PATH": "/x"}
    result = subprocess.run([binary("rolegate-cni")], input=json.dumps(config) if network is None else network,
                            capture_output=True, text=True, env=environ, timeout=60 * SLOW)
    return result.returncode, json.loads(result.stdout) if result.stdout else None


def inhabitant(host, container):
    """A process in the container's netns; its pid."""
    pid = container.netns.sleeper().pid
    host.wait(lambda: open(f"/proc/{pid}/comm").read().strip() == "sleep", "the sleeper")
    return pid


def role(value="web", **more):
    return {"runtimeConfig": {"rolegate": {"role": value, **more}}}


def test_add_check_del(host):
    c = host.container("c")
    code, answer = cni(host, "ADD", "c", cni_args="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0",
                       **role(session_tags={"team": "web"}))
    assert (code, answer) == (0, PREV)
    assert c.role() == "web"
    entry = host.show("c")
    assert entry["labels"] == {"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.name": "web-0"}
    assert entry["session_tags"] == {"team": "web"}
    assert cni(host, "ADD", "c", cni_args="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0",
               **role(session_tags={"team": "web"})) == (0, PREV)
    assert cni(host, "CHECK", "c", **role()) == (0, None)
    for _ in range(2):
        assert cni(host, "DEL", "c", **role()) == (0, None)
    assert host.show("c") is None
    code, answer = cni(host, "CHECK", "c", **role())
    assert code == 1 and answer["code"] == 3 and ROLE + "web" in answer["msg"]


@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_versions(shared, version):
    name = f"v{version}"
    shared.container(name)
    prev = PREV | {"cniVersion": version}
    code, answer = cni(shared, "ADD", name, prev=prev, cniVersion=version, **role())
    assert (code, answer) == (0, prev)
    assert cni(shared, "DEL", name, cniVersion=version) == (0, None)


def test_version_and_first_in_the_chain(shared):
    code, answer = cni(shared, "VERSION", "")
    assert code == 0 and set(answer["supportedVersions"]) >= {"0.4.0", "1.0.0"} and answer["cniVersion"] == "1.0.0"
    c = shared.container("first", connected=False)
    code, answer = cni(shared, "ADD", "first", prev=None, **role())
    assert code == 0 and answer["cniVersion"] == "1.0.0" and c.role() == "web"


@pytest.mark.parametrize("extra", [
    {"args": {"cni": {"rolegate": {"role": "web"}}}},
    {"args": {"cni": {"rolegate": "web"}}},
    {"args": {"cni": {"rolegate.io/role": "web", "other": 1}}},
    {"args": {"cni": {"labels": [{"key": "rolegate.io/role", "value": "web"}, {"key": "app", "value": "x"}, 7, {}]}}},
    {"runtimeConfig": {"rolegate.io/role": "web"}, "args": {"cni": {"rolegate.io/role": "other"}}},
    {"args": {"podman_labels": {"rolegate.io/role": "web"}}},
    {"args": {"podman_labels": {"iam.amazonaws.com/role": ROLE + "web"}}},
    {"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"iam.amazonaws.com/role": "web"}}},
    {"runtimeConfig": {"rolegate": {"role": "web"}}, "args": {"cni": {"rolegate": {"role": "other"}}}},
])
def test_where_the_role_comes_from(shared, extra):
    name = f"w{len(shared.containers)}"
    c = shared.container(name)
    assert cni(shared, "ADD", name, **extra)[0] == 0
    assert c.role() == "web"


def test_no_role_no_registration(shared):
    c = shared.container("none")
    assert cni(shared, "ADD", "none") == (0, PREV)
    assert shared.show("none") is None
    with pytest.raises(OSError):
        c.inside.connect(timeout=1)
    assert cni(shared, "CHECK", "none") == (0, None)
    assert cni(shared, "DEL", "none") == (0, None)


def test_who_annotates_a_pod_cannot_speak_for_the_engine(shared):
    shared.container("liar")
    annotations = {"rolegate.io/role": "web", "io.kubernetes.cri.image-name": "registry.example.com/trusted:1",
                   "io.kubernetes.cri.sandbox-namespace": "prod", "io.kubernetes.pod.namespace": "prod"}
    code, _ = cni(shared, "ADD", "liar", runtimeConfig={"io.kubernetes.cri.pod-annotations": annotations})
    entry = shared.show("liar")
    assert code == 0 and entry.get("image") is None and not entry.get("labels"), entry
    for key, value in (("image", {"ref": "x"}), ("labels", {"io.kubernetes.pod.namespace": "prod"})):
        code, answer = cni(shared, "ADD", "liar2", netns=shared.containers["liar"].netns.path, **role(**{key: value}))
        assert code == 1 and answer["code"] == 7 and f"rolegate.io/{key}" in answer["msg"], answer


@pytest.mark.parametrize("how, code", [("policy", 100), ("sts", 100), ("slow", 11), ("down", 11), ("netns", 7),
                                       ("role", 100)])
def test_errors(host, how, code):
    host.container("c")
    netns, wanted = "", "web"
    if how == "policy":
        host.set_policy({"version": 1, "rules": []})
        host.daemon.stop()
        host.start_daemon()
    elif how == "sts":
        host.fake.set(sts_error="AccessDenied")
    elif how == "slow":
        host.fake.set(sts_delay_s=30)
    elif how == "down":
        host.daemon.stop()
    elif how == "netns":
        netns = "/run/netns/no-such"
    elif how == "role":
        wanted = "x" * 100
    status, answer = cni(host, "ADD", "c", netns=netns, **role(wanted, wait_s="1"))
    assert status == 1 and answer["code"] == code and answer["msg"] and answer["cniVersion"] == "1.0.0", answer
    if how not in ("netns", "role"):
        assert "role" in answer["msg"] and ROLE + "web" in answer["msg"], answer
    if how == "down":
        assert cni(host, "DEL", "c") == (0, None)
        host.start_daemon()
    assert host.show("c") is None


@pytest.mark.parametrize("network, code", [
    ("", 6), ("[]", 6), ("{", 6), ('{"name":"n","cniVersion":"1.0.0","name":"m"}', 6),
    ('{"cniVersion":"1.0.0"}', 7), ('{"cniVersion":"9.0.0","name":"n"}', 1), ('{"name":"n"}', 1),
    ('{"cniVersion":"1.0.0","name":"n","prevResult":[]}', 7),
    ('{"cniVersion":"1.0.0","name":"n","rolegate_config":"relative"}', 7),
    ('{"cniVersion":"1.0.0","name":"n","rolegate_config":"/no/such"}', 7),
])
def test_bad_configurations(shared, network, code):
    status, answer = cni(shared, "ADD", "c", netns="/run/netns/x", network=network)
    assert status == 1 and answer["code"] == code and answer["msg"], answer


def test_bad_environments(shared):
    for command, name, netns in (("ADD", "", "/x"), ("ADD", "../x", "/x"), ("ADD", "c1", "relative"), ("ADD", "c1", ""),
                                 ("DEL", "", ""), ("REMOVE", "c1", "/x"), ("", "c1", "/x")):
        status, answer = cni(shared, command, name, netns=netns)
        assert status == 1 and answer["code"] == 4, (command, name, netns, answer)
    status, answer = cni(shared, "ADD", "c1", netns="/proc/1/ns/net", **role())
    assert status == 1 and "netns" in answer["msg"], answer


def test_del_without_netns_after_a_reboot(shared):
    """What a runtime does at its start with what the last boot left: nothing to find, and no error."""
    assert cni(shared, "DEL", "long-gone", netns="/run/netns/gone", **role()) == (0, None)
    assert cni(shared, "DEL", "long-gone", **role()) == (0, None)


def test_del_leaves_a_living_container_of_the_same_id(shared):
    c = shared.container("same")
    shared.register("same", pid=inhabitant(shared, c))
    assert cni(shared, "DEL", "same") == (0, None)
    assert c.role() == "web"


def test_add_after_the_runtime_has_registered_the_same_container(shared):
    c = shared.container("both")
    shared.register("both", pid=inhabitant(shared, c))
    assert cni(shared, "ADD", "both", **role()) == (0, PREV)
    assert c.role() == "web"
    code, answer = cni(shared, "ADD", "both", **role("batch"))
    assert code == 1 and answer["code"] == 100 and "batch" in answer["msg"]
