"""Do what is due: the tasks that facts have left behind, each in a thread of its own, none twice at once."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy import Engine

from backend.database import reading
from backend.model_client import ModelClient
from backend.predictions.service import predict_weighed
from backend.recommendations.service import recommend, recommend_in_shadow
from backend.tasks import service as tasks
from backend.tasks.tables import RECOMMENDATION

log = logging.getLogger(__name__)

THREADS = 8
PAUSE_AFTER_FAILURE_S = 1.0


class Worker:
    """What is under way is not started again; what failed waits a while before it is tried again."""

    def __init__(self, engine: Engine, live: ModelClient, shadow: ModelClient | None) -> None:
        self.engine, self.live, self.shadow = engine, live, shadow
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="task")
        self._shadow_threads = ThreadPoolExecutor(2, thread_name_prefix="shadow")
        self._under_way: set[tuple[int, str]] = set()
        self._not_before: dict[tuple[int, str], float] = {}

    def start_due(self) -> int:
        """Start what is due and not under way; how many were started."""
        with reading(self.engine) as session:
            due = [(task.heat_id, task.kind) for task in tasks.due(session)]
        at = time.monotonic()
        startable = [
            key for key in due if key not in self._under_way and self._not_before.get(key, 0.0) <= at
        ]
        for key in startable:
            self._under_way.add(key)
            self._threads.submit(self._do, key)
        return len(startable)

    def close(self) -> None:
        """Finish what is under way; what has not begun stays on the list in the database."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._shadow_threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, key: tuple[int, str]) -> None:
        heat_id, kind = key
        try:
            if kind == RECOMMENDATION:
                asked = recommend(self.engine, self.live, heat_id)
                if asked is not None and self.shadow is not None:
                    shadow = self._shadow_threads.submit(recommend_in_shadow, self.engine, self.shadow, asked)
                    shadow.add_done_callback(_log_failure)
            else:
                predict_weighed(self.engine, self.live, heat_id)
            self._not_before.pop(key, None)
        except Exception:
            log.exception("%s for heat row %s failed and is tried again", kind, heat_id)
            self._not_before[key] = time.monotonic() + PAUSE_AFTER_FAILURE_S
        finally:
            self._under_way.discard(key)


def _log_failure(done: Future[None]) -> None:
    failure = None if done.cancelled() else done.exception()
    if failure is not None:
        log.error("a shadow recommendation failed", exc_info=failure)
