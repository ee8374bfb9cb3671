"""The test hosts that the table's rows run on."""

import contextlib

from bridged import BridgeHost
from host import Host

MODES = {"netns": Host, "bridge": BridgeHost}

CONTAINERS = {  # name: (role, tokens)
    "c": ("team/web", "required"),
    "other": ("batch", "required"),
    "optional": ("old", "optional"),
    "odd": ("a+b=c,d.e@f-g", "required"),
    "off": ("web", "disabled"),
    "stranger": None,
}


def environment(host, name):
    return host.api("GET", f"/v1/containers/{name}/environment")[1]


class World:
    """One host that rows share and leave as they found it; `fresh()` gives a row one of its own. `mode` is the
    way in which its containers are intercepted."""

    def __init__(self, mode):
        self.stack = contextlib.ExitStack()
        self.host = self.stack.enter_context(MODES[mode]())
        for name, registration in CONTAINERS.items():
            self.host.container(name)
            if registration:
                role, tokens = registration
                self.host.register(name, role, tokens=tokens, metadata={"local-ipv4": "10.0.0.7"})
        self.containers = self.host.containers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def key(self, name="c"):
        """The access key id that this container's credentials have, as the operator sees it."""
        return self.host.show(name)["access_key_id"]

    def environment(self, name):
        """The variables that registering returns for the workload: {"ecs": {…}, "eks": {…}}."""
        return environment(self.host, name)

    @contextlib.contextmanager
    def fresh(self, **kwargs):
        with Host(**kwargs) as host:
            yield host
