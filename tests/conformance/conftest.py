import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent)]

from host import Host  # noqa: E402


@pytest.fixture
def host():
    with Host() as host:
        yield host
