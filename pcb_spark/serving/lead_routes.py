"""The lead's page: figures of the shift, and its verdicts as a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Response

from pcb_spark.review import exports, shift, tables
from pcb_spark.serving import keys
from pcb_spark.serving.visitors import Visitor  # noqa: TC001  FastAPI reads it

if TYPE_CHECKING:
    from pcb_spark.serving.desk import Desk

_A_SHIFT: Final = timedelta(hours=8)
_CSV: Final = "text/csv; charset=utf-8"


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes of the lead's page."""
    may_look = desk.may(keys.LEAD, keys.ENGINEER)

    @app.get("/v1/shift")
    def figures(since: datetime | None = None, visitor: Visitor = may_look) -> dict[str, Any]:
        shift.look(desk.engine, visitor.operator_id, "figures of the shift")
        return asdict(shift.figures(desk.engine, _moment(since)))

    @app.get("/v1/shift/verdicts.csv")
    def spreadsheet(since: datetime | None = None, visitor: Visitor = may_look) -> Response:
        shift.look(desk.engine, visitor.operator_id, "verdicts of the shift as CSV")
        text = io.StringIO()
        csv.writer(text).writerows(exports.table(desk.engine, _moment(since)))
        headers = {"Content-Disposition": 'attachment; filename="verdicts.csv"'}
        return Response("\ufeff" + text.getvalue(), media_type=_CSV, headers=headers)


def _moment(since: datetime | None) -> str:
    return tables.text_of(since or datetime.now(UTC) - _A_SHIFT)
