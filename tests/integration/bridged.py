"""Containers on a bridge of the host, whose netns is never entered: bridge mode."""

from host import Container, Host, run
from netns import veth


class Bridged(Container):
    """A container whose host-side veth is a port of the host's bridge br0."""

    def __init__(self, host, name, number):
        self.number = number
        super().__init__(host, name, 0, address=f"10.97.0.{number}")

    def _connect(self, _):
        self.eth, self.veth = veth(self.netns, self.host.netns, f"{self.address}/24", None)
        run(self.host.netns, f"ip link set {self.veth} master br0")
        run(self.netns, f"ip addr add fd97::{self.number}/64 dev {self.eth} nodad",
            "ip route add default via 10.97.0.1", "ip -6 route add default via fd97::1")


def make_bridge(host, name="br0"):
    run(host.netns, f"ip link add {name} type bridge", f"ip addr add 10.97.0.1/24 dev {name}",
        f"ip addr add fd97::1/64 dev {name} nodad", f"ip link set {name} up")
    run(host.aws, "ip route add 10.97.0.0/24 via 10.99.0.2", "ip -6 route add fd97::/64 via fd99::2")


def bridged(host, name, number):
    host.containers[name] = Bridged(host, name, number)
    return host.containers[name]


class BridgeHost(Host):
    """A host whose containers are all on br0 and registered with bridge interception."""

    def _build_network(self):
        super()._build_network()
        make_bridge(self)

    def container(self, name, **_):
        self._index += 1
        return bridged(self, name, 1 + self._index)

    def put(self, name, role="web", **fields):
        return super().put(name, role, **{"intercept": "bridge"} | fields)
