"""One process per element: the same result as one after the other, within the machine's cores."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
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
    shared: Collection[str] = (),
) -> Iterator[tuple[str, Done]]:
    """Yield every element with what `train(told, heats, element, prior)` returns, in the order of `priors`.

    `train` is a function of a module, so that another process finds it by name. That process is given the
    columns of its element, of the elements `shared` by all, and those of no element.
    """
    if processes <= 1 or heats.height < WORTH_HEATS:
        for element, prior in priors.items():
            yield element, train(told, heats, element, prior)
        return
    with tempfile.TemporaryDirectory(prefix="heats-") as folder:
        path = Path(folder) / "heats.arrow"
        heats.write_ipc(path, compression="uncompressed")
        # A forked process would inherit the locks of Polars' threads.
        with ProcessPoolExecutor(min(processes, len(priors)), get_context("spawn")) as pool:
            waiting = [
                (element, pool.submit(_elsewhere, train, told, path, {element, *shared}, element, prior))
                for element, prior in priors.items()
            ]
            for element, future in waiting:
                yield element, future.result()


def _elsewhere(
    train: Train[Told, Done], told: Told, path: Path, elements: set[str], element: str, prior: ElementModel
) -> Done:
    rows = pl.scan_ipc(path)
    kinds = ((name, *name.partition(".")) for name in rows.collect_schema().names())
    columns = [name for name, kind, dot, of in kinds if not dot or kind == "f" or of in elements]
    with threadpool_limits(limits=1):
        return train(told, rows.select(columns).collect(), element, prior)
