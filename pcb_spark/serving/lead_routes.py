"""The lead's pages: figures of the shift, its verdicts as a spreadsheet, golden images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Response

from pcb_spark.review import approvals, exports, groups, orders, shift, tables, verdicts
from pcb_spark.serving import keys, review_wire
from pcb_spark.serving.refusals import Refusal
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
        return _sheet("verdicts.csv", exports.table(desk.engine, _moment(since)))


def add_groups(app: FastAPI, desk: Desk) -> None:
    """Add the routes of figures of groups, empty where the plant has asked for none."""
    may_look = desk.may(keys.LEAD, keys.ENGINEER)

    def found() -> groups.Figures:
        return groups.figures(
            desk.engine, desk.groups, datetime.now(UTC), disagreements=desk.settings.disagreements
        )

    @app.get("/v1/groups")
    def of_groups(visitor: Visitor = may_look) -> dict[str, Any]:
        if desk.groups or desk.settings.disagreements:
            shift.look(desk.engine, visitor.operator_id, "figures of groups")
        return asdict(found())

    @app.get("/v1/groups.csv")
    def spreadsheet(visitor: Visitor = may_look) -> Response:
        shift.look(desk.engine, visitor.operator_id, "figures of groups as CSV")
        return _sheet("groups.csv", groups.table(found()))


def add_brake(app: FastAPI, desk: Desk) -> None:
    """Add the routes by which a lead stops clearing."""
    may_look, may_stop = desk.may(keys.LEAD, keys.ENGINEER), desk.may(keys.LEAD)

    @app.get("/v1/clearing")
    def stopped(_: Visitor = may_look) -> dict[str, Any]:
        return {"lines": orders.lines(desk.engine), "stopped": orders.stopped(desk.engine)}

    @app.post("/v1/clearing", status_code=HTTPStatus.NO_CONTENT)
    def order(told: review_wire.Ordering, visitor: Visitor = may_stop) -> None:
        orders.give(
            desk.engine, action=told.action, line=told.line, who=visitor.operator_id, why=told.why
        )


def add_golden(app: FastAPI, desk: Desk) -> None:
    """Add the routes by which a lead approves golden images."""
    may_approve = desk.may(keys.LEAD)

    @app.get("/v1/golden")
    def candidates(
        position: str | None = None, visitor: Visitor = may_approve
    ) -> list[dict[str, Any]]:
        shift.look(desk.engine, visitor.operator_id, "images found good")
        shown = ("item_id", "line", "board_id", "position", "part_number", "captured_at")
        found = approvals.candidates(desk.engine, position)
        return [{name: row[name] for name in shown} for row in found]

    @app.post("/v1/golden", status_code=HTTPStatus.NO_CONTENT)
    def approve(told: review_wire.Approving, visitor: Visitor = may_approve) -> None:
        approval = approvals.Approval(
            item_id=told.item, valid_from=told.valid_from, valid_until=told.valid_until,
            why=told.why,
        )  # fmt: skip
        try:
            approvals.approve(desk.engine, visitor.operator_id, approval)
        except verdicts.Declined as declined:
            raise Refusal(HTTPStatus.NOT_FOUND, declined.code, declined.what) from None

    @app.get("/v1/golden/references.zip")
    def archive(_: Visitor = may_approve) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="references.zip"'}
        content = approvals.archive(desk.engine, desk.folder)
        return Response(content, media_type="application/zip", headers=headers)


def _sheet(name: str, rows: Iterable[list[str]]) -> Response:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text.getvalue(), media_type=_CSV, headers=headers)


def _moment(since: datetime | None) -> str:
    return tables.text_of(since or datetime.now(UTC) - _A_SHIFT)
