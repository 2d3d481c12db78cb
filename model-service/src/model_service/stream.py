"""JSON lines in, JSON lines out: the core without HTTP, for replays, benches and pipes."""

import logging
from collections.abc import Iterable
from typing import BinaryIO

from model_service.documents import encode
from model_service.errors import ModelServiceError
from model_service.incoming import recommendation_request
from model_service.logs import heat_named_in
from model_service.model import Bundle
from model_service.problems import problem_of, unexpected_problem
from model_service.recommendation import recommend

_log = logging.getLogger(__name__)


def stream(bundle: Bundle, lines: Iterable[bytes], out: BinaryIO) -> None:
    """Write one line for each of `lines`, flushed before the next is read.

    A line is a RecommendationRequest and is answered by a Recommendation; where it is none, or answering it
    fails, it is answered by problem details (they have a `title`, a recommendation has none), and the stream
    goes on.
    """
    for line in lines:
        out.write(_answer(bundle, line) + b"\n")
        out.flush()


def _answer(bundle: Bundle, line: bytes) -> bytes:
    try:
        return encode(recommend(bundle, recommendation_request(line)))
    except ModelServiceError as error:
        return problem_of(error)
    except Exception:
        told = {"treatment": heat_named_in(line), "body": line[:2000].decode("latin1")}
        _log.exception("a line failed unexpectedly", extra={"told": told})
        return unexpected_problem()
