"""What can go wrong as expected; every error says what, where and what is allowed."""

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong: `where` is a JSON path such as `$.heat.steel_mass_t`."""

    where: str
    what: str
    allowed: str


class ModelServiceError(Exception):
    """Base of this component's expected errors."""

    status = 500
    title = "The Model Service failed"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)


class MalformedJson(ModelServiceError):
    status = 400
    title = "The body is not JSON"


class InvalidDocument(ModelServiceError):
    status = 422
    title = "The document breaks its contract"


class BodyTooLarge(ModelServiceError):
    status = 413
    title = "The body is too large"


class BodyTooSlow(ModelServiceError):
    status = 408
    title = "The body did not come in time"


class TimeLimitReached(ModelServiceError):
    """A batch that asks for more than fits into one request's time."""

    status = 503
    title = "The time limit is reached"


class BundleRefused(ModelServiceError):
    """A bundle whose files, checksums or golden rows don't agree."""

    title = "The bundle is refused"


class TreesUnavailable(ModelServiceError):
    """LightGBM's library is missing, or refuses a model text."""

    title = "The correction trees cannot be used"


class OptimiserFailed(ModelServiceError):
    """HiGHS found no optimum of a problem that always has one: numbers out of all scale."""

    title = "The optimiser failed"


class RuleRefused(ModelServiceError):
    """The handbook rule cannot be applied to what was given."""

    status = 422
    title = "The handbook rule cannot be applied"
