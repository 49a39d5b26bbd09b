"""Files in a fleet file."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pipeline.config.base import Number, mistake
from pipeline.config.sinks.base import SinkSettings

FileFormat = Literal["jsonl", "csv", "parquet", "mot"]


class FileSink(SinkSettings):
    """Files in a folder, a new one by size and time; one that is written still ends in `.part`.

    `jsonl` has a message a line, with the keys of the wire and its `kind`. `csv` and `parquet` have a row for each
    object, and one without an object for a frame that has none, so that every frame is there:

        fleet camera_id session_id session frame_id  which frame: (camera_id, session_id, frame_id) is unique
        pts_s                                        the stream's own time, s
        captured_at_ns published_at_ns capture_clock wall time, ns since 1970-01-01 UTC, and where it comes from
        age_ms                                       from capture to publication
        frame_width frame_height                     of the source picture, px
        origin filled_because                        of the frame: detected, predicted, interpolated or skipped, and why
        detection_age_ms stride                      how old what is known was; every how many frames it is renewed
        objects lost                                 how many there are; frames lost just before, by cause, as JSON
        track_id class_id class_name score           the object; nothing in a frame without one
        x1 y1 x2 y2                                  left, top, right, bottom in px of the source picture
        box_origin since_detected_ms uncertainty_px  how the box came to be, and how well it is known
        attributes                                   what second looks have found, as JSON; nothing if nothing

    `mot` has one file for each camera and session in MOTChallenge's format (frame from 1, id, left, top, width, height,
    score, class from 1, -1), which has no line for a frame without objects; a `.ini` beside it says how many frames
    there were.
    """

    kind: ClassVar[str] = "file"
    extra: ClassVar[str] = "sinks"

    path: str = Field(
        description="The folder, made where it is missing; what is relative begins at the fleet file's folder."
    )
    format: FileFormat = Field(
        default="jsonl",
        description="`jsonl` for scripts, `csv` for spreadsheets, `parquet` for DuckDB, pandas and the like, a tenth "
        "of the size; `mot` for the tools of MOTChallenge.",
    )
    rotate_mb: Number = Field(
        default=64.0, gt=0, le=100_000, description="A new file after so many MB, before they are compressed."
    )
    rotate_s: Number = Field(
        default=3600.0,
        ge=1,
        le=2_678_400,
        description="A new file after so many seconds. Lower it where what is collected is read soon.",
    )
    states: bool = Field(
        default=False, description="Also how the cameras and the fleet are, once a second; `jsonl` only."
    )

    @property
    def required(self) -> tuple[str, ...]:
        """Parquet alone needs a library."""
        return ("pyarrow",) if self.format == "parquet" else ()

    @field_validator("path")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise mistake("found nothing, expected a folder")
        return value
