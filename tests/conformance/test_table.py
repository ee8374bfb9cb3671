"""The table of tests/conformance/table, a test for each row and address family. Readable: run-table."""

import pytest
from table import rows
from table.world import World


@pytest.fixture(scope="module")
def world():
    with World() as world:
        yield world


def parameters():
    seen = {}
    for _, row in rows():
        number = str(row.number).split()[0]
        seen[number] = seen.get(number, 0) + 1
        marks = [] if row.built else [pytest.mark.skip(reason=f"needs {row.needs}: see BUILT in table/row.py")]
        for family in row.sent.families:
            yield pytest.param(row, family, id=f"case-{number}.{seen[number]}-{family}", marks=marks)


@pytest.mark.parametrize("row, family", parameters())
def test_case(world, row, family):
    answer, wrong = row.run(world, family)
    assert not wrong, f"case {row.number}: {row.sent}: expected {row.expects()}; got {answer}"


def test_every_case_of_the_contract_is_there():
    assert {int(str(row.number).split()[0]) for _, row in rows()} == set(range(1, 101))
