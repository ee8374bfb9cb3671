"""The table of tests/conformance/table, a test for each row, way of interception and address family. Readable:
run-table."""

import contextlib
import functools

import pytest
from table import rows
from table.world import MODES, World


@pytest.fixture(scope="module")
def worlds():
    """Of each way one, made when first asked for."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda mode: stack.enter_context(World(mode)))


def parameters():
    for mode in MODES:
        seen = {}
        for _, row in rows():
            number = str(row.number).split()[0]
            seen[number] = seen.get(number, 0) + 1
            for family in row.sent.families if row.runs_in(mode) else []:
                yield pytest.param(mode, row, family, id=f"case-{number}.{seen[number]}-{mode}-{family}")


@pytest.mark.parametrize("mode, row, family", parameters())
def test_case(worlds, mode, row, family):
    answer, wrong = row.run(worlds(mode), family)
    assert not wrong, f"case {row.number}: {row.sent}: expected {row.expects()}; got {answer}"


def test_every_case_of_the_contract_is_there():
    assert {int(str(row.number).split()[0]) for _, row in rows()} == set(range(1, 101))
