"""Shapes of a bundle's own files: manifest, golden rows, release sidecar."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from model_service.contracts import Element, Instant, NotNegative, RecommendationRequest, Sha256, Slug
from model_service.parameters import Feature

FORMAT: Literal["steel-additive-bundle/v1"] = "steel-additive-bundle/v1"


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the bundle; its path stays inside."""

    path: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]
    sha256: Sha256
    bytes: Annotated[int, Meta(ge=0)]


class MadeWith(msgspec.Struct, frozen=True, kw_only=True):
    """The model_service package that made the bundle; the hash covers its Python sources."""

    version: str
    source_sha256: Sha256


class ManifestFeature(Feature, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A column of the trees; later versions may say more of it."""


class ManifestStation(msgspec.Struct, frozen=True, kw_only=True):
    """What a station's model holds; features in the order of the trees' columns."""

    elements: list[Element]
    features: list[ManifestFeature]
    heats: Annotated[int, Meta(ge=0)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json: content only, and the SHA-256 of its bytes is the bundle hash."""

    format: Literal["steel-additive-bundle/v1"]
    model_service: MadeWith
    files: Annotated[list[ManifestFile], Meta(min_length=2)]
    parameters: Literal["model.json"]
    golden: Literal["golden.json"]
    stations: dict[Slug, ManifestStation]


class GoldenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, without the answer's `model` part."""

    request: RecommendationRequest
    response: dict[str, Any]


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """golden.json: `tolerance` is the largest difference of a number; relative where it is above 1."""

    tolerance: NotNegative
    rows: Annotated[list[GoldenRow], Meta(min_length=1)]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """release.json: who made a bundle, when, from what."""

    version: str
    created_at: Instant
    bundle_hash: Sha256
    metrics: dict[str, Any]
    run_id: str | None = None
    code_commit: str | None = None
    code_dirty: bool | None = None
    data_version: str | None = None
    data_sha256: Sha256 | None = None
