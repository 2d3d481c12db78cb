"""The REST twins of the plant's events: the treatment is in the path, and may be in the body too."""

from typing import Annotated

from pydantic import Field

from backend.shapes import Instant, Sample, Shape, Text, Treatment, WeighedAddition


class WeighedPost(Shape):
    treatment: Treatment | None = None
    additions: Annotated[list[WeighedAddition], Field(min_length=1)]


class SamplePost(Shape):
    treatment: Treatment | None = None
    sample: Sample


class CancelledPost(Shape):
    treatment: Treatment | None = None
    cancelled_at: Instant
    reason: Annotated[Text, Field(max_length=200)] = ""
