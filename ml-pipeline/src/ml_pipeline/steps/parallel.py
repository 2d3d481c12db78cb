"""One process per element: the same result as one after the other, within the machine's cores."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import polars as pl
from model_service.parameters import ElementModel
from threadpoolctl import threadpool_limits

WORTH_HEATS = 5_000
"""Heats from which other processes, which take seconds to start, are worth it."""
Told = TypeVar("Told")
Done = TypeVar("Done")
Train = Callable[[Told, pl.DataFrame, str, ElementModel], Done]


def map_elements(
    train: Train[Told, Done],
    told: Told,
    heats: pl.DataFrame,
    priors: Mapping[str, ElementModel],
    processes: int,
) -> Iterator[tuple[str, Done]]:
    """Yield every element with what `train(told, heats, element, prior)` returns, in the order of `priors`.

    `train` is a function of a module, so that another process finds it by name.
    """
    if processes <= 1 or heats.height < WORTH_HEATS:
        for element, prior in priors.items():
            yield element, train(told, heats, element, prior)
        return
    with tempfile.TemporaryDirectory(prefix="heats-") as folder:
        # Read by mapping, so that all processes share one copy of the heats.
        path = Path(folder) / "heats.arrow"
        heats.write_ipc(path, compression="uncompressed")
        # A forked process would inherit the locks of Polars' threads.
        with ProcessPoolExecutor(min(processes, len(priors)), get_context("spawn")) as pool:
            waiting = [
                (element, pool.submit(_elsewhere, train, told, path, element, prior))
                for element, prior in priors.items()
            ]
            for element, future in waiting:
                yield element, future.result()


def _elsewhere(train: Train[Told, Done], told: Told, path: Path, element: str, prior: ElementModel) -> Done:
    with threadpool_limits(limits=1):
        return train(told, pl.read_ipc(path, memory_map=True), element, prior)
