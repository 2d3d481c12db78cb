"""Full heat lives through the backend on SQLite: how many a second, how long one takes, with few heats and a
million in the tables; and how long the pages take.

Bus, model service (the model of the first day), the backend's three processes and the plant that speaks to
them share the machine's cores; so the processor time of a life is given for each of them.
"""

import asyncio
import http.client
import sys
import tempfile
import time
from pathlib import Path

from bench.filled import fill
from bench.living import STEPS, Measured, live
from bench.product import BACKEND_PROCESSES, Product, running_product

RUNS, LIVES, AT_ONCE, WARM_UP = 3, 400, 16, 100
PER_S, PACED_LIVES = 40.0, 1200
MANY_HEATS = 1_000_000
PAGES = ("/", "/history", "/history?state=completed", "/grades", "/additives", "/model")
PAGE_VIEWS = 40

Figures = dict[str, tuple[list[float], str]]


def measure() -> Figures:
    """The figures with few heats, then with a million in the tables of the same database."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as made, running_product(Path(made)) as product:
        few = _lives(product, "", figures)
        _say(f"putting {MANY_HEATS:,} heats into the tables")
        fill(product.database, MANY_HEATS)
        many = _lives(product, f" with {MANY_HEATS:,} heats in the tables", figures)
        figures["speed with a million heats, of that with few"] = ([many / few], "share")
        _say("looking at the pages")
        figures["slowest page with a million heats, p99"] = ([_slowest_page_ms(product)], "ms")
        size_gb = sum(file.stat().st_size for file in Path(made).glob("backend.sqlite*")) / 1e9
        figures["size of the database with a million short heats"] = ([size_gb], "GB")
    return figures


def _lives(product: Product, where: str, figures: Figures) -> float:
    """Add the figures; the median of lives a second."""
    _live(product, WARM_UP, None, seed=0)
    speeds: list[float] = []
    cpu_ms: dict[str, list[float]] = {}
    for seed in range(1, RUNS + 1):
        before_s = product.cpu_s()
        run = _live(product, LIVES, None, seed)
        speeds.append(LIVES / run.elapsed_s)
        for name, after_s in product.cpu_s().items():
            cpu_ms.setdefault(name, []).append(1000 * (after_s - before_s[name]) / LIVES)
        _say(f"{LIVES} lives{where}: {speeds[-1]:.1f} heats/s")
    paced = _live(product, PACED_LIVES, PER_S, seed=RUNS + 1)
    figures[f"full lives per second{where}"] = (speeds, "heats/s")
    figures[f"p99 of a full life at 40 heats/s{where}"] = ([_percentile_ms(paced.lives_s, 0.99)], "ms")
    figures[f"p50 of a full life at 40 heats/s{where}"] = ([_percentile_ms(paced.lives_s, 0.5)], "ms")
    for step in STEPS:
        name = f"p99 of the step until {step} at 40 heats/s{where}"
        figures[name] = ([_percentile_ms(paced.steps_s[step], 0.99)], "ms")
    for name, spent_ms in cpu_ms.items():
        figures[f"processor time of {name} per life{where}"] = (spent_ms, "ms")
    whole = [sum(of_run) for of_run in zip(*(cpu_ms[name] for name in BACKEND_PROCESSES), strict=True)]
    figures[f"processor time of the backend per life{where}"] = (whole, "ms")
    _say(f"{PACED_LIVES} lives at {PER_S:g} heats/s{where}: p99 {_percentile_ms(paced.lives_s, 0.99):.0f} ms")
    return sorted(speeds)[len(speeds) // 2]


def _live(product: Product, many: int, per_s: float | None, seed: int) -> Measured:
    return asyncio.run(
        live(
            product.address,
            product.token,
            product.nats_url,
            product.master_data,
            many=many,
            at_once=AT_ONCE,
            per_s=per_s,
            seed=seed,
        )
    )


def _say(text: str) -> None:
    """What is under way: the figures come at the end, minutes later."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _percentile_ms(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _slowest_page_ms(product: Product) -> float:
    connection = http.client.HTTPConnection(*product.address)
    headers = {"Authorization": f"Bearer {product.token}", "Accept": "text/html"}
    slowest_ms = 0.0
    for page in PAGES:
        seconds = []
        for _ in range(PAGE_VIEWS):
            began = time.perf_counter()
            connection.request("GET", page, headers=headers)
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            if answer.status != http.client.OK:
                raise RuntimeError(f"{page} answered {answer.status}")
        slowest_ms = max(slowest_ms, _percentile_ms(seconds, 0.99))
    connection.close()
    return slowest_ms
