"""The review page's requests, in this process; the page itself in ``test_review_page``."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from pcb_spark.core import times, validity
from pcb_spark.ingest import window_files
from pcb_spark.ingest.verdict_form import Form
from pcb_spark.pipeline import clearing
from pcb_spark.review import database, pseudonyms
from pcb_spark.serving import keys, review_app
from pcb_spark.serving.desk import Desk
from pcb_spark.serving.review_settings import Proxy, ReviewSettings
from tests import reviews
from tests.serving import services

if TYPE_CHECKING:
    from httpx2 import Response

ITEMS = [
    reviews.item("a", certainty=0.1),
    reviews.item("b", certainty=0.2, review="control", decision="pass"),
    reviews.item("k", "B9", known_defect=True),
]
PAGE = "page-of-anna"

Opened = Callable[..., TestClient]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Open the application with settings; all clients of a test have one store."""
    engine = database.open_store(f"sqlite:///{tmp_path}/verdicts.db")
    folder = reviews.folder(tmp_path / "items", ITEMS)
    services.token(tmp_path / "keys.json", keys.ADMIN)
    clients: list[TestClient] = []

    def open_with(*, ring: bool = True, **told: Any) -> TestClient:
        known = keys.KeyRing(tmp_path / "keys.json") if ring else None
        who = pseudonyms.read(tmp_path / "operators.key")
        desk = Desk(engine, folder, ReviewSettings(**told), known, who)
        client = TestClient(review_app.build(desk))
        client.__enter__()
        clients.append(client)
        return client

    yield open_with
    for client in clients:
        client.__exit__(None, None, None)
    engine.dispose()


@pytest.fixture
def anna(opened: Opened, tmp_path: Path) -> TestClient:
    """An operator who has logged in."""
    client = opened()
    key = token(tmp_path, "Anna", keys.OPERATOR)
    assert client.post("/v1/session", json={"key": key}).status_code == 204
    return client


def token(folder: Path, name: str, *scopes: str) -> str:
    made, key = keys.make(name, scopes)
    path = folder / "keys.json"
    keys.write(path, [*keys.read(path), key])
    return made


def ask(client: TestClient, want: int = 9, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/review/items", json={"page": PAGE, "want": want, **more})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def say(client: TestClient, item: str, state: str, entry: str, **more: Any) -> Response:
    told = {"page": PAGE, "entry": entry, "item": item, "state": state, **more}
    answer: Response = client.post("/v1/review/entries", json=told)
    return answer


def code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_items_come_with_their_pictures_and_without_a_reason(anna: TestClient) -> None:
    first, second = ask(anna)["items"]

    assert (first["item_id"], second["item_id"]) == ("a", "b")
    assert set(first) == {
        "item_id", "line", "lot", "board_id", "position", "part_number", "second_opinion",
        "pictures",
    }  # fmt: skip
    assert first.keys() == second.keys()
    assert first["pictures"]["heat"] is True
    picture = anna.get("/v1/review/items/a/heat")
    assert picture.headers["content-type"] == "image/png"
    assert "private" in picture.headers["cache-control"]


@pytest.mark.parametrize("path", ["a/list", "z/image", "a/..%2f..%2fverdicts.db"])
def test_nothing_but_pictures_of_items_is_handed_out(anna: TestClient, path: str) -> None:
    assert anna.get(f"/v1/review/items/{path}").status_code == 404


def test_a_verdict_is_stored_once_and_taken_back(anna: TestClient) -> None:
    ask(anna)
    for _ in range(2):
        answer = say(anna, "a", "DefectConfirmed", "entry-01", defects=["open"])
        assert answer.json() == {"entry": "entry-01"}
    assert ask(anna, 0)["waiting"] == 1
    assert say(anna, "a", "Undo", "entry-02", undoes="entry-01").status_code == 200
    assert ask(anna, 0, held=["a", "b"]) == {"items": [], "held": ["a", "b"], "waiting": 2}


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"state": "DefectRejected", "defects": ["open"]}, (422, "invalid_form")),
        ({"state": "DefectConfirmed", "defects": ["a|b"]}, (422, "invalid_form")),
        ({"state": "pass"}, (422, "invalid_form")),
        ({"state": "Undo"}, (422, "invalid_form")),
        ({"state": "Undo", "undoes": "entry-99"}, (409, "not_undoable")),
        ({"state": "DefectRejected", "item": "z"}, (404, "unknown_item")),
        ({"state": "DefectRejected", "verdict": "pass"}, (422, "invalid_form")),
    ],
)
def test_what_means_nothing_is_refused(
    anna: TestClient, told: dict[str, Any], wanted: tuple[int, str]
) -> None:
    answer = say(anna, **{"item": "a", "entry": "entry-01", **told})

    assert code(answer) == wanted


def test_an_item_of_somebody_else_is_not_decided(
    anna: TestClient, opened: Opened, tmp_path: Path
) -> None:
    ask(anna)
    ben = opened()
    ben.headers["Authorization"] = f"Bearer {token(tmp_path, 'Ben', keys.OPERATOR)}"

    assert code(say(ben, "a", "DefectRejected", "entry-01")) == (409, "not_yours")
    leaving = anna.post("/v1/review/leave", json={"page": PAGE})
    assert leaving.status_code == 204
    assert say(ben, "a", "DefectRejected", "entry-02").status_code == 200


def test_known_defects_look_like_others_and_are_counted_of_two_people_at_least(
    opened: Opened, tmp_path: Path
) -> None:
    client = opened(known_defect_rate=0.5)
    lead = token(tmp_path, "Lea", keys.OPERATOR, keys.LEAD)
    client.headers["Authorization"] = f"Bearer {lead}"
    shown: list[dict[str, Any]] = []
    while not shown:  # each item has one before it with probability 1/2
        shown = [each for each in ask(client)["items"] if each["board_id"] == "B9"]
        if not shown:
            client.post("/v1/review/leave", json={"page": PAGE})

    assert client.get(f"/v1/review/items/{shown[0]['item_id']}/image").status_code == 200
    assert say(client, shown[0]["item_id"], "DefectRejected", "entry-01").status_code == 200
    alone = client.get("/v1/shift").json()
    assert (alone["known_caught"], alone["known_shown"], alone["decided"]) == (None, None, {})
    engine = database.connect(f"sqlite:///{tmp_path}/verdicts.db")
    hour = f"{datetime.now(UTC):%Y-%m-%dT%H}"
    reviews.answered(engine, hour, caught=0, missed=0, people=("op-anna", "op-ben"))
    engine.dispose()
    found = client.get("/v1/shift", params={"since": f"{hour}:00:00Z"}).json()
    assert (found["known_caught"], found["known_shown"]) == (0, 1)


def test_the_lead_sees_the_shift_and_takes_it_away_and_an_operator_does_not(
    anna: TestClient, opened: Opened, tmp_path: Path
) -> None:
    ask(anna)
    say(anna, "b", "DefectConfirmed", "entry-01", comment="=1+1")
    lead = opened()
    lead.headers["Authorization"] = f"Bearer {token(tmp_path, 'Lea', keys.LEAD)}"

    assert code(anna.get("/v1/shift")) == (403, "wrong_scope")
    found = lead.get("/v1/shift").json()
    assert (found["decided"], found["slips"], found["waiting"]) == ({"DefectConfirmed": 1}, 1, 1)
    sheet = lead.get("/v1/shift/verdicts.csv").text
    assert "'=1+1" in sheet
    assert "op-" not in sheet


def test_groups_are_told_of_where_the_plant_has_asked_for_them(
    opened: Opened, tmp_path: Path
) -> None:
    people = ("Anna", "Ben", "Carl", "Dora", "Emil")
    plain, asked = opened(), opened(groups={"red": people}, disagreements=True)
    lead = token(tmp_path, "Lea", keys.LEAD)
    for client in (plain, asked):
        client.headers["Authorization"] = f"Bearer {lead}"

    found = plain.get("/v1/groups").json()
    assert (found["groups"], found["wanted"]) == ([], False)
    found = asked.get("/v1/groups").json()
    assert (found["groups"][0]["name"], found["groups"][0]["fail"]) == ("red", None)
    assert (found["wanted"], found["differ"]) == (True, None)
    assert asked.get("/v1/groups.csv").text.splitlines()[1].startswith("red,")


def test_a_lead_makes_a_good_image_a_golden_one_which_a_drop_can_read(
    anna: TestClient, opened: Opened, tmp_path: Path
) -> None:
    ask(anna)
    say(anna, "a", "DefectRejected", "entry-01")
    lead = opened()
    lead.headers["Authorization"] = f"Bearer {token(tmp_path, 'Lea', keys.LEAD)}"
    told = {"item": "a", "valid_from": "2026-02-01", "valid_until": "2026-03-01", "why": "ECO 7"}

    assert code(anna.get("/v1/golden")) == (403, "wrong_scope")
    assert [each["item_id"] for each in lead.get("/v1/golden").json()] == ["a"]
    assert lead.get("/v1/golden?position=Z").json() == []
    assert code(lead.post("/v1/golden", json=told | {"item": "b"})) == (404, "unknown_item")
    backwards = lead.post("/v1/golden", json=told | {"valid_until": "2026-01-01"})
    assert code(backwards) == (422, "invalid_form")
    assert lead.post("/v1/golden", json=told).status_code == 204

    with zipfile.ZipFile(io.BytesIO(lead.get("/v1/golden/references.zip").content)) as packed:
        found = packed.read("references.csv")
        (window,) = validity.windows(csv.DictReader(found.decode().splitlines()), times.Reader())
        picture = packed.read(window.reference)
    parsed = window_files.parse(found, Form(), where="references.csv")
    assert picture == (tmp_path / "items" / "run" / "image.png").read_bytes()
    assert window.asked == {"part_number": "R-0603", "position": "A", "line": "L1"}
    assert [row[-1] for row in parsed.rows] == [None]


def test_a_lead_stops_clearing_and_the_next_decision_heeds_it(
    anna: TestClient, opened: Opened, tmp_path: Path
) -> None:
    lead = opened()
    lead.headers["Authorization"] = f"Bearer {token(tmp_path, 'Lea', keys.LEAD)}"
    url = f"sqlite:///{tmp_path}/verdicts.db"
    told = {"action": "stop", "line": "L1", "why": "lamp broken"}

    assert code(anna.post("/v1/clearing", json=told)) == (403, "wrong_scope")
    assert code(lead.post("/v1/clearing", json=told | {"why": ""})) == (422, "invalid_form")
    for order in (told, {"action": "stop", "why": "audit"}, told | {"action": "resume"}):
        assert lead.post("/v1/clearing", json=order).status_code == 204
    found = lead.get("/v1/clearing").json()
    assert found["lines"] == ["L1"]
    assert [(each["line"], each["why"]) for each in found["stopped"]] == [(None, "audit")]
    assert clearing.of_rows(clearing.at_the_page(url)) == {None}


def test_a_login_lasts_until_the_key_is_revoked_or_somebody_logs_out(
    anna: TestClient, tmp_path: Path
) -> None:
    assert anna.get("/v1/review/setup").json()["roles"] == ["operator"]
    left = [key for key in keys.read(tmp_path / "keys.json") if key.name != "Anna"]
    kept = keys.read(tmp_path / "keys.json")
    keys.write(tmp_path / "keys.json", left)
    assert code(anna.get("/v1/review/setup")) == (401, "no_key")
    keys.write(tmp_path / "keys.json", kept)
    assert anna.get("/v1/review/setup").status_code == 200
    secret = anna.cookies["pcb_session"]
    assert anna.delete("/v1/session").status_code == 204
    anna.cookies.set("pcb_session", secret)
    assert code(anna.get("/v1/review/setup")) == (401, "no_key")


@pytest.mark.parametrize(
    ("told", "header", "secure"),
    [
        ({}, "https", False),
        ({"proxy": Proxy(addresses=("testclient",))}, "https", True),
        ({"proxy": Proxy(addresses=("testclient",))}, "HTTPS, http", True),
        ({"proxy": Proxy(addresses=("testclient",))}, "http", False),
        ({"proxy": Proxy(addresses=("10.0.0.7",))}, "https", False),
        ({"secure_cookie": True}, "http", True),
    ],
)
def test_the_cookie_goes_by_https_alone_where_the_browser_came_by_it(
    opened: Opened, tmp_path: Path, told: dict[str, Any], header: str, secure: bool
) -> None:
    client = opened(**told)
    key = token(tmp_path, "Anna", keys.OPERATOR)
    answer = client.post("/v1/session", json={"key": key}, headers={"X-Forwarded-Proto": header})

    assert answer.status_code == 204
    assert ("; Secure" in answer.headers["set-cookie"]) is secure


def test_a_key_of_another_kind_does_not_log_in(opened: Opened, tmp_path: Path) -> None:
    client = opened()

    scoring = token(tmp_path, "line-3", keys.SCORE)
    assert code(client.post("/v1/session", json={"key": scoring})) == (403, "wrong_scope")
    assert code(client.post("/v1/session", json={"key": "pcb_x"})) == (401, "wrong_key")
    assert code(client.get("/v1/review/items/a/image")) == (401, "no_key")


def test_the_plants_proxy_says_who_somebody_is_and_nobody_else_does(opened: Opened) -> None:
    trusting = opened(ring=False, proxy=Proxy(addresses=("testclient",)))
    wary = opened(proxy=Proxy(addresses=("10.0.0.7",)))
    told = {"X-Forwarded-User": "Anna", "X-Forwarded-Role": "operator, lead, admin"}

    assert trusting.get("/v1/review/setup", headers=told).json()["roles"] == ["lead", "operator"]
    assert trusting.get("/v1/review/setup", headers={"X-Forwarded-User": " "}).status_code == 401
    assert wary.get("/v1/review/setup", headers=told).status_code == 401


def test_the_page_loads_nothing_from_elsewhere(opened: Opened) -> None:
    client = opened()
    page = client.get("/")

    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    files = ["index.html", "lead.html", "keys.html", "privacy.html", "style.css", "review.js"]
    for name in files:
        text = client.get(f"/review/{name}").text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text


def test_items_that_come_later_are_found_and_a_broken_folder_holds_up_nothing(
    opened: Opened, tmp_path: Path, anna: TestClient
) -> None:
    assert ask(anna, 0)["waiting"] == 2
    broken = tmp_path / "items" / "broken"
    broken.mkdir()
    (broken / "items.jsonl").write_text("{")
    reviews.folder(tmp_path / "items", [reviews.item("c")], "run-2")

    again = opened()
    again.headers["Authorization"] = f"Bearer {token(tmp_path, 'Ben', keys.OPERATOR)}"
    assert ask(again, 0)["waiting"] == 3


def test_health_and_figures_need_no_key(opened: Opened) -> None:
    client = opened()

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert "pcb_review_entries" in client.get("/metrics").text
