"""runc alone and rolegate launch, fifty times each with an STS of one second."""

from bundles import Bundles, words
from test_launch import Launcher


def test_runc_fifty_of_fifty(host):
    host.fake.set(sts_delay_s=1)
    bundles = Bundles(host)
    for n in range(50):
        code, out, err = bundles.run(f"c{n}", annotations={"rolegate.io/role": f"role-{n % 7}"})
        assert code == 0 and words(out)["role"] == f"role-{n % 7}", (n, out, err)
    assert host.api("GET", "/v1/containers")[1]["containers"] == []


def test_launch_fifty_of_fifty():
    with Launcher() as launcher:
        launcher.host.fake.set(sts_delay_s=1)
        for n in range(50):
            code, out, err = launcher.run("--role", f"role-{n % 7}")
            assert code == 0 and words(out)["role"] == f"role-{n % 7}", (n, out, err)
        assert launcher.leftovers() == []
