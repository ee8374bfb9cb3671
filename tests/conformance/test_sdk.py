"""Unmodified AWS clients, each from Debian's packages, get the role of the container they run in."""

import pytest
from clients import CLIENTS
from sdk_host import SdkHost


@pytest.fixture(scope="module")
def sdk():
    with SdkHost() as sdk:
        yield sdk


def every(fits=lambda client: True):
    return pytest.mark.parametrize("client", [c for c in CLIENTS if fits(c)], ids=lambda c: c.name)


@every()
def test_two_containers_with_one_address_each_get_their_own_role(sdk, client):
    sdk.check_two_at_once(client)


@every(lambda client: client.calls == "sts")
def test_the_sts_knows_who_it_is(sdk, client):
    sdk.check_identity(client)


@every(lambda client: client.ipv6)
def test_over_ipv6(sdk, client):
    sdk.check_ipv6(client)


@every(lambda client: client.ecs)
def test_ecs_credentials(sdk, client):
    sdk.check_ecs(client)
