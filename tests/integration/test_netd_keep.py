"""KEEP, TAKE, REPLACED: what one rolegated leaves with netd for the next, and attacks on it."""

import errno
import fcntl
import os
import socket
import time

import pytest
from netd_fixtures import *  # noqa: F403
from netd_protocol import HELLO, KEEP, LIST, TAKE

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memory(content, seals=SEALS, size=None):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    if size:
        os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def taken(client):
    reply = client.call(TAKE)
    assert reply.error == 0
    if not reply.sockets:
        return None
    with reply.sockets[0] as file:
        return os.pread(file.fileno(), 1000, 0)


def test_what_is_kept_is_there_for_the_next_and_the_last_wins(netd, client):
    assert taken(client) is None
    before = netd.open_fds()
    for content in (b"one", b"two"):
        fd = memory(content)
        assert client.call(KEEP, fds=[fd]).error == 0
        os.close(fd)
    eventually(lambda: netd.open_fds() == before + 1, 2, "one to be kept")
    client.close()
    with netd.client() as after:
        assert taken(after) == b"two" and taken(after) == b"two"
        assert after.call(KEEP).error == 0
        assert taken(after) is None
        eventually(lambda: netd.open_fds() == before, 2, "it to be let go")


@pytest.mark.parametrize("what", ["unsealed", "half sealed", "netns", "socket", "file", "null"])
def test_only_sealed_memory_is_kept(netd, client, container, tmp_path, what):
    """Anything else might pin a netns, or change under the next rolegated's eyes."""
    (tmp_path / "file").write_bytes(b"x")
    sock = socket.socket()
    fd = {
        "unsealed": lambda: memory(b"x", 0),
        "half sealed": lambda: memory(b"x", SEALS & ~fcntl.F_SEAL_WRITE),
        "netns": lambda: os.open(container.path, os.O_RDONLY),
        "socket": lambda: os.dup(sock.fileno()),
        "file": lambda: os.open(tmp_path / "file", os.O_RDONLY),
        "null": lambda: os.open("/dev/null", os.O_RDWR),
    }[what]()
    client.hello()
    before = netd.open_fds()
    reply = client.call(KEEP, fds=[fd])
    os.close(fd)
    assert reply.error == errno.EINVAL and reply.field == "fds"
    # netd may just be starting iptables for the host's rules, which takes it a descriptor or two meanwhile.
    eventually(lambda: netd.open_fds() == before, 2, "it to be let go")
    assert taken(client) is None


def test_too_much_memory_is_refused(client):
    fd = memory(b"x", size=64 * 1024 * 1024 + 1)
    assert client.call(KEEP, fds=[fd]).error == errno.EFBIG
    os.close(fd)


def test_a_replaced_peer_is_told_and_leaves_one_thing_more(netd, client):
    client.list()
    with netd.client() as after:
        serial = after.send(TAKE)
        began = time.monotonic()
        while not client.replaced:
            reply = client.receive()
            client.replaced = reply.verb == 9
        for content, error in ((b"last word", 0), (b"too late", errno.ESTALE)):
            fd = memory(content)
            assert client.call(KEEP, fds=[fd]).error == error
            os.close(fd)
        with after.wait(serial).sockets[0] as file:
            assert os.pread(file.fileno(), 100, 0) == b"last word"
        assert time.monotonic() - began < 5
        assert not after.replaced


@pytest.mark.parametrize("how", ["is silent", "leaves"])
def test_a_replaced_peer_that_leaves_nothing_holds_up_no_one(netd, client, how):
    client.list()
    fd = memory(b"earlier")
    client.call(KEEP, fds=[fd])
    os.close(fd)
    with netd.client() as after:
        serial = after.send(TAKE)
        if how == "leaves":
            client.close()
        with after.wait(serial).sockets[0] as file:
            assert os.pread(file.fileno(), 100, 0) == b"earlier"


def test_list_alone_replaces_too(netd, client):
    client.list()
    with netd.client() as after:
        after.list()
        client.hello()
        assert client.replaced
        client.send(LIST)  # and back: whoever asks last serves
        client.hello()
        after.hello()
        assert after.replaced


@pytest.mark.parametrize("verb", [TAKE, LIST])
def test_another_owners_registrations_are_not_taken_over(netd, client, container, verb):
    """A rolegated with another state directory would know none of the containers, and take them all down."""
    client.call(HELLO, id="one")
    client.list()
    client.attach("c1", container.path).close()
    with netd.client() as other:
        for reply in (other.call(HELLO, id="two"), other.call(verb)):
            assert reply.error == errno.EBUSY and str(os.getpid()) in reply.text
        client.hello()
        assert not client.replaced
        client.close()
        # The first has left: what is here now is the second's to care for.
        eventually(lambda: other.call(HELLO, id="two").error == 0, 5, "served")
        assert set(other.list()) == {"c1"}
        with netd.client() as same:
            assert same.call(HELLO, id="two").error == 0
            same.list()


def test_workers_do_not_get_it(netd, client, container):
    fd = memory(b"x")
    client.call(KEEP, fds=[fd])
    os.close(fd)
    assert client.attach("c1", container.path).error == 0
    assert client.detach("c1").error == 0
    assert taken(client) == b"x"
