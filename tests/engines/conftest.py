import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "conformance"), str(HERE.parent)]

from bundles import RUNC  # noqa: E402
from host import Host  # noqa: E402

CONFIG = {"runtime": {"path": RUNC, "account": "123456789012"}, "log": {"level": "info"}}


@pytest.fixture(scope="module")
def host():
    with Host(CONFIG) as host:
        yield host


@pytest.fixture(autouse=True)
def well_behaved_sts(request):
    """What a test did to STS ends with it."""
    yield
    if "host" in request.fixturenames:
        request.getfixturevalue("host").fake.reset()
