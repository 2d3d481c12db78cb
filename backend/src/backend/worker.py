"""Do what is due: the tasks that facts have left behind, each in a thread of its own, none twice at once."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine

from backend import metrics
from backend.database import reading, writing
from backend.model_client import ModelClient
from backend.predictions.service import predict_weighed
from backend.recommendations import refreshing
from backend.recommendations.service import recommend, recommend_in_shadow
from backend.tasks import service as tasks
from backend.tasks.service import Due
from backend.tasks.tables import PREDICTION, RECOMMENDATION, SHADOW

log = logging.getLogger(__name__)

THREADS = 8
PAUSE_AFTER_FAILURE_S = 1.0
LOOK_AT_LEAST_EVERY_S = 5.0


class Worker:
    """What is under way is not started again; what failed waits a while before it is tried again."""

    def __init__(
        self, engine: Engine, live: ModelClient, shadow: ModelClient | None, plant_id: str = "demo"
    ) -> None:
        self.engine, self.live, self.shadow, self.plant_id = engine, live, shadow, plant_id
        self._offers_seen, self._looked_at = "", 0.0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="task")
        self._shadow_threads = ThreadPoolExecutor(2, thread_name_prefix="shadow")
        self._under_way: set[Due] = set()
        self._not_before: dict[Due, float] = {}

    def start_due(self) -> int:
        """Start what is due and not under way; how many were started."""
        with reading(self.engine) as session:
            due = tasks.due(session)
        at = time.monotonic()
        startable = [
            task for task in due if task not in self._under_way and self._not_before.get(task, 0.0) <= at
        ]
        for task in startable:
            self._under_way.add(task)
            threads = self._shadow_threads if task.kind == SHADOW else self._threads
            threads.submit(self._do, task)
        return len(startable)

    def refresh_stale(self) -> int:
        """Ask anew for what waits for the steelmaker and is not of today any more; for how many heats."""
        with reading(self.engine) as session:
            seen = refreshing.offers_seen(session, self.plant_id)
            # Now and then also where nothing changed: what was asked before a change is stored after it.
            looks = seen != self._offers_seen or time.monotonic() > self._looked_at + LOOK_AT_LEAST_EVERY_S
            heat_ids = refreshing.stale(session, self.plant_id) if looks else []
        if heat_ids:
            with writing(self.engine) as session:
                refreshing.ask_anew(session, heat_ids)
        self._offers_seen = seen
        if looks:
            self._looked_at = time.monotonic()
        return len(heat_ids)

    def close(self) -> None:
        """Finish what is under way; what has not begun stays on the list in the database."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._shadow_threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, task: Due) -> None:
        try:
            with metrics.TASK_SECONDS.labels(task.kind).time():
                self._answer(task)
            self._not_before.pop(task, None)
        except Exception:
            log.exception("%s for heat row %s failed and is tried again", task.kind, task.heat_id)
            self._not_before[task] = time.monotonic() + PAUSE_AFTER_FAILURE_S
        finally:
            self._under_way.discard(task)

    def _answer(self, task: Due) -> None:
        if task.kind == RECOMMENDATION:
            recommend(self.engine, self.live, task.heat_id, has_shadow=self.shadow is not None)
        elif task.kind == PREDICTION:
            predict_weighed(self.engine, self.live, task.heat_id)
        elif self.shadow is not None:
            recommend_in_shadow(self.engine, self.shadow, task.heat_id)
        else:  # there was one when it was asked for
            with writing(self.engine) as session:
                tasks.drop(session, task.heat_id, SHADOW)
