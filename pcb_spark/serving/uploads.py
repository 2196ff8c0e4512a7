"""From the body of a request to inspections; whatever is malformed is refused, and never kept.

Nothing touches a disk: a body is bounded, and so is the time in which it has to come.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from pcb_spark.serving import references, wire
from pcb_spark.serving.refusals import Refusal

if TYPE_CHECKING:
    from pcb_spark.serving.settings import Settings

JSON = "application/json"
FORM = "multipart/form-data"

_TRACES = TypeAdapter(wire.Trace | list[wire.Trace])
_FIELDS = ("image", "reference", "trace")
_SHOWN = 5  # faults of one body


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One image to decide about.

    Attributes
    ----------
    reference, reference_sha256 : its file and the hash of that; the hash alone where the store has
        to know it, neither where there is none.
    """

    image: bytes
    reference: bytes | None
    reference_sha256: str | None
    trace: wire.Trace


async def read(request: Request, settings: Settings) -> list[Inspection]:
    """Read all images of a request.

    Raises
    ------
    Refusal : 400, 408, 413, 415 or 422.
    """
    kind = _content_type(request)
    try:
        async with asyncio.timeout(settings.read_seconds):
            if kind == FORM:
                found = await _form(request, settings)
            else:
                found = _json(await _body(request, settings))
    except TimeoutError:
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT, "too_slow", "the request didn't come to its end in time",
            expected=f"all of it within {settings.read_seconds:g} s",
            hint="send fewer images at a time",
        ) from None  # fmt: skip
    except ClientDisconnect:
        what = "the client went before the request was complete"
        raise Refusal(HTTPStatus.BAD_REQUEST, "incomplete", what) from None
    if len(found) > settings.images:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "too_many_images", "too many images at a time",
            expected=f"{settings.images} at most", got=len(found),
            hint="send them in several requests",
        )  # fmt: skip
    return found


def _content_type(request: Request) -> str:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    kind = message.get_content_type() if request.headers.get("content-type") else ""
    charset = message.get_content_charset("utf-8")
    if kind not in (JSON, FORM) or (kind == JSON and charset not in ("utf-8", "us-ascii")):
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
            "the request is of a kind that isn't read", expected=f"{FORM} or {JSON} in UTF-8",
            got=(request.headers.get("content-type") or "none")[:100],
        )  # fmt: skip
    return kind


async def _chunks(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, up to its limit."""
    told = request.headers.get("content-length", "")
    size = int(told) if told.isdecimal() else 0
    if size <= most:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                break
            yield chunk
    if size > most:
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "the request is too large",
            expected=f"{most:,} bytes at most", hint="send fewer images at a time",
        )  # fmt: skip


async def _body(request: Request, settings: Settings) -> bytes:
    return b"".join([chunk async for chunk in _chunks(request, settings.body_bytes)])


def _json(body: bytes) -> list[Inspection]:
    try:
        asked = wire.InspectRequest.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error, "the JSON") from None
    return [_of_json(number, each) for number, each in enumerate(asked.images)]


def _of_json(number: int, each: wire.Encoded) -> Inspection:
    return _inspection(
        number,
        _decoded(each.image, f"images.{number}.image") or b"",
        _decoded(each.reference, f"images.{number}.reference"),
        wire.Trace(**each.model_dump(include=set(wire.Trace.model_fields))),
    )


def _inspection(
    number: int, image: bytes, reference: bytes | None, trace: wire.Trace
) -> Inspection:
    named = trace.reference_sha256
    own = named if reference is None else references.digest(reference)
    if named not in (None, own):
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "another_reference",
            f"the reference of image {number} is another file than its hash names",
            expected=named, got=own,
        )  # fmt: skip
    return Inspection(image=image, reference=reference, reference_sha256=own, trace=trace)


def _decoded(text: str | None, where: str) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "malformed_base64", f"{where} is no base64",
            expected="RFC 4648's alphabet with padding, without line breaks", got=error,
        ) from None  # fmt: skip


class _InMemory(MultiPartParser):
    """Keeps files in memory: no picture of a board is left on a disk."""

    def __init__(self, request: Request, settings: Settings) -> None:
        chunks = self._whole(_chunks(request, settings.body_bytes))
        super().__init__(
            request.headers, chunks, max_files=2 * settings.images + 1, max_fields=2,
            max_part_size=settings.body_bytes,
        )  # fmt: skip
        self.spool_max_size = settings.body_bytes + 1
        self._ended = False

    def on_end(self) -> None:
        """Note the last boundary."""
        self._ended = True

    async def _whole(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The chunks, if the form ends with them: cut off, it may lack its references."""
        async for chunk in chunks:
            yield chunk
        if not self._ended:
            message = "the last boundary is missing"
            raise MultiPartException(message)


async def _form(request: Request, settings: Settings) -> list[Inspection]:
    try:
        form = await _InMemory(request, settings).parse()
    except (MultiPartException, ValueError, KeyError) as error:
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "malformed_multipart", "the form can't be read",
            expected="multipart/form-data as RFC 7578 has it", got=_first_line(error),
        ) from None  # fmt: skip
    try:
        return await _inspections(form)
    finally:
        await form.close()


async def _inspections(form: FormData) -> list[Inspection]:
    strange = sorted(set(form) - set(_FIELDS))
    if strange:
        expected, got = ", ".join(_FIELDS), strange[0][:100]
        raise _wrong_form("a field that isn't known", expected=expected, got=got)
    pictures = await _files(form, "image")
    golden: list[bytes | None] = [*await _files(form, "reference")]
    if not pictures:
        raise _wrong_form("there is no image", expected="a file in the field image")
    if len(golden) not in (0, 1, len(pictures)):
        expected = f"none, one for all, or {len(pictures)} references"
        raise _wrong_form("references don't match the images", expected=expected, got=len(golden))
    traces = await _traces(form, len(pictures))
    if len(golden) < len(pictures):
        golden = (golden or [None]) * len(pictures)
    numbers = range(len(pictures))
    return [_inspection(*each) for each in zip(numbers, pictures, golden, traces, strict=True)]


async def _files(form: FormData, name: str) -> list[bytes]:
    found = []
    for part in form.getlist(name):
        if not isinstance(part, UploadFile):
            got = "a text: the part has no filename"
            raise _wrong_form(f"{name} is no file", expected="a part with a filename", got=got)
        found.append(await part.read())
    return found


async def _traces(form: FormData, count: int) -> list[wire.Trace]:
    parts = form.getlist("trace")
    if not parts:
        return [wire.Trace()] * count
    (text, *more) = [await each.read() if isinstance(each, UploadFile) else each for each in parts]
    try:
        found = _TRACES.validate_json(text)
    except ValidationError as error:
        raise _invalid(error, "trace") from None
    traces = found if isinstance(found, list) else [found]
    if more or len(traces) != count:
        expected = f"one field with {count} of them"
        raise _wrong_form("traces don't match the images", expected=expected, got=len(traces))
    return traces


def _wrong_form(what: str, *, expected: object = None, got: object = None) -> Refusal:
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_form", what, expected=expected, got=got
    )


def _invalid(error: ValidationError, what: str) -> Refusal:
    """Say where; what stood there may be an image, and is not repeated."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    listed = [_placed(fault) for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        listed.append(f"and {len(faults) - _SHOWN} more")
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_json", f"{what} is not as the API wants it",
        expected="see the OpenAPI page at /docs", got="; ".join(listed),
    )  # fmt: skip


def _placed(fault: Any) -> str:
    place = ".".join(str(each) for each in fault["loc"])
    return f"{place[:100]}: {fault['msg']}" if place else str(fault["msg"])


def _first_line(error: Exception) -> str:
    return json.dumps(str(error).partition("\n")[0][:200])
