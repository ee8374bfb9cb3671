"""runc alone and rolegate launch, fifty times each with the SDK, and with an STS of one second."""

from bundles import Bundles, rootfs
from engines import ATTACKER, add_sdk, check_attack, fifty_of_fifty
from test_launch import Launcher

USR_MOUNT = {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}


def test_runc_fifty_of_fifty(host):
    add_sdk(rootfs())
    bundles = Bundles(host)
    fifty_of_fifty(host, lambda n, role, program: bundles.run(
        f"c{n}", args=[program], annotations={"rolegate.io/role": role}))
    result = bundles.run("attacker", args=[*ATTACKER, "127.0.0.2"], mounts=[USR_MOUNT], annotations={"rolegate.io/role": "web"},
                         capabilities=["CAP_NET_ADMIN", "CAP_NET_RAW"])
    check_attack(result[1], flushes=True)
    assert host.api("GET", "/v1/containers")[1]["containers"] == []


def test_launch_fifty_of_fifty():
    add_sdk(rootfs())
    with Launcher() as launcher:
        fifty_of_fifty(launcher.host, lambda n, role, program: launcher.run("--role", role, command=[program]))
        for role in (["--role", "web"], []):
            result = launcher.run(*role, "--mount", "/usr:/usr:ro", command=[*ATTACKER, "127.0.0.2"])
            check_attack(result[1], flushes=False, own=bool(role))
        assert launcher.leftovers() == []
