"""Malformed uploads: each is a sound request that was broken in one of some ways.

The same seed and number make the same upload, so that one can be sent alone.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.core import fuzzing
from tests.rows import noise

BOUNDARY = b"--------a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Upload:
    """What is sent, and how it was broken."""

    kind: str
    content_type: str
    body: bytes


def form(*parts: tuple[str, bytes], name_of_file: bytes | None = b"U7.png") -> bytes:
    """A form by hand, since no client would write it as wrongly as it is to become."""
    lines = []
    for name, content in parts:
        head = b'Content-Disposition: form-data; name="' + name.encode() + b'"'
        if name_of_file is not None and name != "trace":
            head += b'; filename="' + name_of_file + b'"'
        lines.append(b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(lines) + b"--" + BOUNDARY + b"--\r\n"


def _sound() -> dict[str, Any]:
    text = base64.b64encode(noise(1)).decode()
    return {"images": [{"image": text, "reference": text, "board_id": "b1", "line": "L1"}]}


def _bytes_of_a_form(rng: random.Random) -> Upload:
    data = bytearray(form(("image", noise(1)), ("reference", noise(2)), ("trace", b"{}")))
    # The frame alone: a change within a picture's pixels makes another picture, not a bad one.
    for _ in range(rng.choice((1, 2, 8))):
        mutate = rng.choice(fuzzing.MUTATIONS)
        mutate(rng, data)
    return Upload("form", FORM, bytes(data))


def _cut_off(rng: random.Random) -> Upload:
    whole = form(("image", noise(1)), ("reference", noise(2)))
    return Upload("cut", FORM, whole[: rng.randrange(len(whole) - 8)])


def _content_type(rng: random.Random) -> Upload:
    wrong = rng.choice((
        "", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", "image/png",
        'multipart/form-data; boundary="', "multipart/form-data; boundary=other", "application/xml",
        "application/x-www-form-urlencoded", "application/json; charset=utf-16", ";", "a/b/c",
    ))  # fmt: skip
    return Upload("content type", wrong, form(("image", noise(1)), ("reference", noise(2))))


def _fields(rng: random.Random) -> Upload:
    picture = ("image", noise(1))
    body = rng.choice((
        form(), form(("reference", noise(1))), form(picture, ("image_file", noise(1))),
        form(picture, name_of_file=None), form(picture, *[("reference", noise(2))] * 3),
        form(picture, ("trace", b"[{}, {}]")), form(picture, ("trace", b"{}"), ("trace", b"{}")),
        form(*[picture] * 200), form(picture, ("trace", rng.choice(_TEXTS))),
    ))  # fmt: skip
    return Upload("fields", FORM, body)


_TEXTS = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b'{"board": "b1"}', b'{"board_id": 1}', b"\xff",
    b'{"line": ""}', b'{"line": "\\ud800"}', b"[" * 5000, b'{"line": "' + b"x" * 600 + b'"}',
    b'{"reference_sha256": "ABC"}', b'{"image_id": {}}', b"NaN", b'{"lot": 1e999}',
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None,
    1,
    "",
    "x",
    "é",
    "AAAA=",
    "====",
    [],
    {},
    True,
    "\x00",
    "A" * 5000,
    -1e300,
)


def _json(rng: random.Random) -> Upload:
    body = _sound()
    place: Any = rng.choice((body, body["images"][0]))
    change = rng.choice(("drop", "set", "add"))
    name = rng.choice([*place])
    if change == "drop":
        place.pop("image" if "image" in place else "images")
    elif change == "set":
        name = "image" if "image" in place else "images"
        place[name] = rng.choice(_VALUES)
    else:
        place[rng.choice(("Image", "images ", "threshold", ""))] = rng.choice(_VALUES)
    return Upload("JSON", JSON, json.dumps(body).encode())


def _bytes_of_json(rng: random.Random) -> Upload:
    data = bytearray(json.dumps(_sound()).encode())
    del data[rng.randrange(len(data)) :]
    for _ in range(rng.choice((0, 1, 4))):
        rng.choice(fuzzing.MUTATIONS)(rng, data)
    return Upload("JSON's bytes", JSON, bytes(data))


def _texts_of_json(rng: random.Random) -> Upload:
    return Upload("no request", JSON, rng.choice(_TEXTS))


def _base64(rng: random.Random) -> Upload:
    body = _sound()
    text = body["images"][0]["image"]
    at = rng.randrange(len(text))
    wrong = rng.choice(("\n", " ", "-", "_", "=", "é", "\\"))
    broken = rng.choice((text[:at] + wrong + text[at:], text[: at // 4 * 4 + 1], text + "A"))
    body["images"][0][rng.choice(("image", "reference"))] = broken
    return Upload("base64", JSON, json.dumps(body).encode())


def _picture(rng: random.Random) -> Upload:
    _, data = fuzzing.case(rng.randrange(10**6), rng.randrange(10**6))
    parts = [("image", noise(1)), ("reference", noise(2))]
    which = rng.randrange(2)
    parts[which] = (parts[which][0], data)
    return Upload("picture", FORM, form(*parts))


KINDS: tuple[Callable[[random.Random], Upload], ...] = (
    _bytes_of_a_form, _cut_off, _content_type, _fields, _json, _bytes_of_json, _texts_of_json,
    _base64, _picture,
)  # fmt: skip

#: What a change of these kinds breaks may have stayed sound, so that it is answered 200.
PERHAPS_SOUND = ("form", "picture", "JSON's bytes", "fields")


def upload(seed: int, number: int) -> Upload:
    """One upload; all kinds come in turn."""
    rng = random.Random(f"{seed} {number}")
    return KINDS[number % len(KINDS)](rng)
