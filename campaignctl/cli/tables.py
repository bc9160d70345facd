"""Tables of simple answers: a list of objects, or one object, member by member."""

from typing import Any

from campaignctl.cli.output import Column, Kind, Output, Table, decode


def of_items(*columns: Column) -> Any:
    """Makes the table of a page: a column for each member named, lists joined by commas."""

    def table(body: Any) -> Table:
        return Table(columns, [[_cell(item[column.name]) for column in columns] for item in body["items"]])

    return table


def of_one(body: Any) -> Table:
    """A row for each member of one object."""
    return Table([Column("field", Kind.ID), Column("value", Kind.ID)], [[key, _cell(body[key])] for key in body])


def answer_page(out: Output, body: bytes, *columns: Column) -> None:
    """Print a page, and how to get the next one."""
    out.answer(body, of_items(*columns))
    if following := decode(body).get("next_cursor"):
        out.note(f"note: there is more; ask again with --cursor {following}")


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return ", ".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else value
