"""The numbered cases of the metadata contract, as tables; see row.py."""

from table import container_rows, credentials_rows, escape_rows, get_rows, sts_rows, token_rows

GROUPS = {
    "Session tokens": token_rows.ROWS,
    "Requests": get_rows.ROWS,
    "Role and credentials": credentials_rows.ROWS,
    "Ways around": escape_rows.ROWS,
    "Container credentials": container_rows.ROWS,
    "STS and clients": sts_rows.ROWS,
}


def rows(only=None):
    """(group, row) for every row, or for those with these numbers (as text)."""
    for group, members in GROUPS.items():
        for row in members:
            if only is None or str(row.number).split()[0] in only:
                yield group, row
