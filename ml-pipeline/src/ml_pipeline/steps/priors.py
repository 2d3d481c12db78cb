"""A plant's own priors: what it believes of its recoveries before its heats have told, from a file.

YAML or JSON, station to element to what differs from the literature (`model_service.priors`); heats overrule
it as they overrule that:

    tapping:
      Mn: {recovery: 0.9, recovery_sd: 0.05}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from model_service.contracts import Element, Slug
from model_service.parameters import ElementModel, NotNegative, Positive
from msgspec import Meta

from ml_pipeline.errors import ExtractError


class OwnPrior(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Of one element at one station, as `model_service.parameters.ElementModel`; null: the literature's."""

    recovery: Annotated[float, Meta(ge=0, le=1.5)] | None = None
    recovery_sd: Positive | None = None
    noise_sd_pct: Positive | None = None
    debit: Annotated[float, Meta(ge=0, le=2)] | None = None
    debit_sd: NotNegative | None = None


OwnPriors = dict[Slug, dict[Element, OwnPrior]]


def read_priors(path: Path) -> OwnPriors:
    """Raises ExtractError that names the place where the file is none, or says what cannot be."""
    try:
        return as_priors(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ExtractError(f"{path}: {error}; allowed: {_ALLOWED}") from None


def as_priors(document: Any) -> OwnPriors:
    """From a decoded document; raises msgspec.ValidationError."""
    return msgspec.convert(document or {}, OwnPriors)


def believed(literature: ElementModel, own: Mapping[str, OwnPrior], element: str) -> ElementModel:
    """The literature's prior with what the plant believes instead."""
    if element not in own:
        return literature
    changed = {
        name: value for name, value in msgspec.structs.asdict(own[element]).items() if value is not None
    }
    return msgspec.structs.replace(literature, **changed)


_ALLOWED = f"station to element to {', '.join(OwnPrior.__struct_fields__)}"
