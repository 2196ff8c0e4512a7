"""What travels: the JSON of requests and answers, from which the OpenAPI page is made."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

#: An id as it comes from the line; Spark draws by these strings, so that none is trimmed.
Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=512)]
Moment = Annotated[AwareDatetime, Field(strict=True)]
Sha256 = Annotated[str, StringConstraints(strict=True, pattern="^[0-9a-f]{64}$")]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trace(_Wire):
    """Where an image comes from, and which reference it is held against."""

    image_id: Id | None = Field(
        default=None,
        description="Draws the audit, as in Spark. Without one: of the image's own hash.",
    )
    line: Id | None = None
    lot: Id | None = None
    board_id: Id | None = Field(
        default=None,
        description="Draws control boards, as in Spark. Without one: a board of its own.",
    )
    position: Id | None = None
    part_number: Id | None = None
    captured_at: Moment | None = Field(
        default=None,
        description="Chooses among golden images that the service has. Without one: now.",
    )
    reference_sha256: Sha256 | None = Field(
        default=None, description="A reference that was sent before, in place of its file."
    )


class Encoded(Trace):
    """One image in JSON; files are base64."""

    image: str = Field(
        description="The camera's file: JPEG, PNG, TIFF, BMP or WebP, as base64.",
        json_schema_extra={"format": "byte"},
    )
    reference: str | None = Field(
        default=None, description="The golden image's file, as base64.",
        json_schema_extra={"format": "byte"},
    )  # fmt: skip


class InspectRequest(_Wire):
    """Images to decide about."""

    images: list[Encoded] = Field(min_length=1)


class Result(BaseModel):
    """What was decided about one image."""

    image_id: str
    line: str | None = None
    lot: str | None = None
    board_id: str | None = None
    position: str | None = None
    part_number: str | None = None
    reference_sha256: str | None = Field(
        default=None, description="Of the reference's file; name it in place of the file next time."
    )
    decision: str = Field(description="`pass`, `fail` or `unscorable`")
    probability: float | None = Field(description="Of `fail`, 0..1; none where it is unscorable.")
    threshold: float = Field(description="`pass` lies below it.")
    reason: str | None = Field(default=None, description="Why there is no probability.")
    detail: str | None = None
    unseen: list[str] = Field(
        description="Which of `line` and `part_number` the model was trained without."
    )
    to_operator: bool = Field(
        description="Whether an operator looks: not cleared, or drawn for control or audit."
    )
    review: str | None = Field(
        default=None,
        description="Why an operator looks: `decision`, `unscorable`, `unseen`, `control`, "
        "`audit`, `audit_high`. Told to keys with the scope `review` alone: nothing may show an "
        "operator which boards are for control.",
    )
    review_probability: float | None = Field(default=None, description="How likely that was, 0..1.")


class ShareCapAnswer(BaseModel):
    """By which night's scores thresholds are capped, and the hash of the record."""

    night: date
    sha256: str


class InspectAnswer(BaseModel):
    """All images of a request, decided by one model."""

    request_id: str
    model_version: str
    model_sha256: str
    share_cap: ShareCapAnswer | None = Field(description="What lowered its thresholds, if any.")
    results: list[Result]


class FaultAnswer(BaseModel):
    """What is wrong."""

    code: str = Field(description="For programs.")
    what: str
    expected: str | None = None
    got: str | None = None
    hint: str | None = Field(default=None, description="What to do next.")


class ErrorAnswer(BaseModel):
    """An answer with a status of 4xx or 5xx."""

    error: FaultAnswer
    request_id: str
    results: list[Result] | None = Field(
        default=None,
        description="Of `unreadable_image`: every image of the request all the same, the one that "
        "can't be read as `unscorable`.",
    )


class ModelAnswer(BaseModel):
    """The model that is served."""

    model_version: str
    model_sha256: str
    feature_set: str
    precision: str
    trained_backbone: bool
    compares: bool = Field(description="Whether every image needs a reference.")
    threshold: float = Field(description="The pooled one; segments may have their own.")
    share_cap: ShareCapAnswer | None = Field(description="What lowered thresholds, if any.")
    trained_at: str
    exported_at: datetime
    loaded_at: datetime
    batch: int = Field(description="As many images may share a call, with the same bits.")
    refused: FaultAnswer | None = Field(
        default=None, description="A newer bundle that was not taken."
    )


class Health(BaseModel):
    """Whether the service lives, or is ready."""

    status: str


def schemas() -> dict[str, Any]:
    """Describe what ``inspect_body`` refers to."""
    return {
        each.__name__: each.model_json_schema(ref_template="#/components/schemas/{model}")
        for each in (Trace, Encoded)
    }


def inspect_body(images: int) -> dict[str, Any]:
    """Describe the body of ``POST /v1/inspect`` for OpenAPI: two forms of the same."""
    schema = InspectRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs")
    schema["properties"]["images"]["maxItems"] = images
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    trace = {"$ref": "#/components/schemas/Trace"}
    form = {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {
                "type": "array", "items": file, "minItems": 1, "maxItems": images,
                "description": "The camera's files.",
            },
            "reference": {
                "type": "array", "items": file, "maxItems": images,
                "description": "One for all images, or one for each, in their order.",
            },
            "trace": {
                "description": "JSON: one object for one image, else a list in their order.",
                "oneOf": [trace, {"type": "array", "items": trace}],
            },
        },
        "additionalProperties": False,
    }  # fmt: skip
    content = {
        "multipart/form-data": {
            "schema": form, "encoding": {"trace": {"contentType": "application/json"}},
        },
        "application/json": {"schema": schema},
    }  # fmt: skip
    return {"required": True, "content": content}
