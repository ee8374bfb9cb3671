import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from host import Host  # noqa: E402


@pytest.fixture(scope="module")
def shared_host():
    """One host for the tests of a module that leave it as they found it."""
    with Host() as host:
        yield host


@pytest.fixture
def host():
    with Host() as host:
        yield host
