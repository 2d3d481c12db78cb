"""The model service: one heat in process, over HTTP, and beside `mlflow models serve` of the same model.

The model is trained here, by the pipeline, from a simulated plant's heats: its trees are those that training
keeps. Each request is the next heat of that plant: 29 of its 30 recent heats were in the request before, and
what was tipped into the last is gone from stock. No request is sent twice: each round is another plant's.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.plant_requests import RECENT_HEATS, Plant
from bench.processes import Client, free_port, rss_mb, running, wait_for

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "bench" / "model-service-work"
SERVICE, PIPELINE = ROOT / "model-service", ROOT / "ml-pipeline"
SIMULATOR = ROOT / "infra" / "plant-simulator"
HEATS, SEED = 8000, 1
REQUESTS, WARM_UP, ROUNDS = 400, 50, 5
CLIENTS, SECONDS = 2, 4.0
NOT_WANTED = ("mlflow", "pandas", "scikit-learn", "scipy")

Figures = dict[str, tuple[list[float], str]]
_PLANTS = itertools.count(1)


def measure() -> Figures:
    """Train a model, then measure it in process, over HTTP, and beside MLflow's server, in one run."""
    for component in (SERVICE, PIPELINE, SIMULATOR):
        subprocess.run(
            ["make", "--no-print-directory", "-C", component, "venv"], check=True, stdout=subprocess.DEVNULL
        )
    bundle, plant = _trained(), Plant(WORK / "history")
    figures: Figures = {
        "trees of the trained model": ([float(len(list(bundle.glob("trees/*.txt"))))], "trees")
    }
    figures |= _starts(bundle)
    with _served(bundle) as (port, process):
        bodies = _bodies(port, plant)
        figures |= _over_http(port, bodies)
        figures["memory of the service after these"] = ([rss_mb(process.pid)], "MB")
        figures |= _inrunning(bundle, bodies)
        with _served_by_mlflow() as other:
            figures |= _beside(port, other, bodies)
    figures |= _environment()
    return figures


def _trained() -> Path:
    """The folder of a bundle, trained, gated and registered by the pipeline."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    history = WORK / "history"
    _run(SIMULATOR, "plant-simulator", "history", "--heats", HEATS, "--seed", SEED, "--output", history)
    _run(PIPELINE, "ml-pipeline", "import", "--mapping", history / "mapping.yaml", "--input", history,
         "--lake", WORK / "lake")  # fmt: skip
    _run(PIPELINE, "ml-pipeline", "run")
    return WORK / "models" / "champion"


def _run(component: Path, command: str, *arguments: object) -> str:
    done = subprocess.run(
        [component / ".venv" / "bin" / command, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        env=_environ(),
        text=True,
    )
    return done.stdout


def _environ(**more: str) -> dict[str, str]:
    """One core each, the pipeline's folders, no telemetry."""
    folders = {"LAKE": "lake", "WORK": "work", "ARTIFACTS": "artifacts", "MODELS": "models"}
    tracking = f"sqlite:///{WORK / 'artifacts' / 'mlflow.db'}"
    return (
        os.environ
        | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        | {f"ML_PIPELINE_{name}": str(WORK / folder) for name, folder in folders.items()}
        | {"ML_PIPELINE_TRACKING_URI": tracking, "MLFLOW_TRACKING_URI": tracking}
        | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        | more
    )


def _bodies(port: int, plant: Plant) -> list[bytes]:
    """`REQUESTS` heats in a row, with the base predictions that this bundle makes of the heats before."""
    first = len(plant.heats) - REQUESTS - RECENT_HEATS
    recent = []
    with Client(port) as client:
        for i in range(first, len(plant.heats)):
            asked = {"heat": plant.heat(i), "additives": plant.offers(i), "additions": plant.weighed(i)}
            answer = client.post("/v1/predictions", _json(asked))
            base = {element: found["base_pct"] for element, found in answer["elements"].items()}
            recent.append(plant.recent(i, base, answer["model"]["bundle_hash"]))
        requests = [
            plant.request(first + i, recent[i - RECENT_HEATS : i]) for i in range(RECENT_HEATS, len(recent))
        ]
        answers = [client.post("/v1/recommendations", _json(request)) for request in requests]
    good = [
        _json(request)
        for request, answer in zip(requests, answers, strict=True)
        if answer["status"] == "recommended" and answer["limits"]
    ]
    if len(good) < REQUESTS / 2:
        reasons = [answer["abstention_reasons"] for answer in answers if answer["abstention_reasons"]]
        raise RuntimeError(
            f"only {len(good)} of {REQUESTS} heats get an answer with a limit that binds: {reasons[:2]}"
        )
    return good


def _over_http(port: int, bodies: Sequence[bytes]) -> Figures:
    """One client on a kept connection; what comes back is read whole, and parsed outside the clock."""
    p50, p99, old, floor = [], [], [], []
    with Client(port) as client:
        for _ in range(ROUNDS):
            bodies = _of_another_plant(bodies)
            older = [_with_older_bundle(body) for body in bodies[:WARM_UP]]
            taken = [client.milliseconds("POST", "/v1/recommendations", body) for body in bodies][WARM_UP:]
            p50.append(statistics.median(taken))
            p99.append(statistics.quantiles(taken, n=100)[98])
            taken = [client.milliseconds("POST", "/v1/recommendations", body) for body in older]
            old.append(statistics.median(taken))
            floor.append(statistics.median(client.milliseconds("GET", "/ping", b"") for _ in bodies))
    size = statistics.mean(map(len, bodies)) / 1000
    return {
        "one heat over HTTP, p50": (p50, "ms"),
        "one heat over HTTP, p99": (p99, "ms"),
        "one heat over HTTP, p50, all recent heats predicted by an older bundle": (old, "ms"),
        "floor: an empty endpoint over HTTP, p50": (floor, "ms"),
        "size of a request": ([size], "kB"),
    }


def _inrunning(bundle: Path, bodies: Sequence[bytes]) -> Figures:
    """`model-service bench` measures itself, in a process of its own."""
    file = WORK / "requests.jsonl"
    file.write_bytes(b"\n".join(bodies) + b"\n")
    runs = [
        json.loads(_run(SERVICE, "model-service", "bench", "--bundle", bundle, "--requests", file))
        for _ in range(ROUNDS)
    ]
    figures: Figures = {
        f"in process: {part}, p50": ([run[part]["p50_ms"] for run in runs], "ms") for part in runs[0]
    }
    whole = "recommendation, request decoded"
    figures[f"in process: {whole}, p99"] = ([run[whole]["p99_ms"] for run in runs], "ms")
    busy = [run[whole]["processor_p50_ms"] for run in runs]
    figures[f"in process: {whole}, p50 of the processor's time"] = (busy, "ms")
    return figures


def _beside(port: int, other: int, bodies: Sequence[bytes]) -> Figures:
    """Requests per second of both servers, by turns, with as many clients."""
    own, theirs = [], []
    for _ in range(ROUNDS):
        own.append(_per_second(port, bodies, lambda body: ("/v1/recommendations", body)))
        theirs.append(
            _per_second(other, bodies, lambda body: ("/invocations", b'{"inputs":[' + body + b"]}"))
        )
    with Client(port) as one, Client(other) as two:
        answer = one.post("/v1/recommendations", bodies[0])
        same = two.post("/invocations", b'{"inputs":[' + bodies[0] + b"]}")["predictions"][0]
    agree = float(answer["additions"] == same["additions"] and answer["elements"] == same["elements"])
    return {
        "requests per second beside `mlflow models serve`": (
            [a / b for a, b in zip(own, theirs, strict=True)],
            "times",
        ),
        "requests per second": (own, "requests/s"),
        "requests per second of `mlflow models serve`": (theirs, "requests/s"),
        "answers of both that are the same": ([agree], "share"),
    }


def _per_second(port: int, bodies: Sequence[bytes], ask: Callable[[bytes], tuple[str, bytes]]) -> float:
    def until(end: float) -> int:
        done = 0
        with Client(port) as client:
            while time.perf_counter() < end:
                if done % len(bodies) == 0:
                    plant = next(_PLANTS)
                client.milliseconds("POST", *ask(_in_plant(plant, bodies[done % len(bodies)])))
                done += 1
        return done

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        done = sum(pool.map(until, [started + SECONDS] * CLIENTS))
    return done / (time.perf_counter() - started)


def _starts(bundle: Path) -> Figures:
    """Seconds from the start of the process to the first `ready`, and memory then."""
    seconds, memory = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with _served(bundle) as (_, process):
            seconds.append(time.perf_counter() - started)
            memory.append(rss_mb(process.pid))
    return {"seconds until ready": (seconds, "s"), "memory when ready": (memory, "MB")}


def _environment() -> Figures:
    """Packages of the image's lock that training needs and serving must not have."""
    lock = (SERVICE / "requirements.lock").read_text()
    pins = [line for line in lock.splitlines() if "==" in line and "sys_platform == 'never'" not in line]
    names = {pin.split("==")[0] for pin in pins}
    found = [name for name in NOT_WANTED if name in names]
    return {"training libraries in its environment": ([float(len(found))], "packages")}


@contextmanager
def _served(bundle: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    port = free_port()
    settings = _environ(MODEL_SERVICE_BUNDLE=str(bundle), MODEL_SERVICE_PORT=str(port))
    with running([SERVICE / ".venv/bin/model-service", "serve"], settings, WORK / "service.log") as process:
        wait_for(port, "/health/ready", process)
        yield port, process


@contextmanager
def _served_by_mlflow() -> Iterator[int]:
    port = free_port()
    command = [
        *(
            PIPELINE / ".venv/bin/mlflow",
            "models",
            "serve",
            "--model-uri",
            "models:/steel-additives@champion",
        ),
        *("--env-manager", "local", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)),
    ]
    path = f"{PIPELINE / '.venv/bin'}:{os.environ['PATH']}"
    with running(command, _environ(PATH=path), WORK / "mlflow.log") as process:
        wait_for(port, "/ping", process)
        yield port


def _of_another_plant(bodies: Sequence[bytes]) -> list[bytes]:
    plant = next(_PLANTS)
    return [_in_plant(plant, body) for body in bodies]


def _in_plant(plant: int, body: bytes) -> bytes:
    """The same request of a plant of its own: no heat and no lot of it was ever seen."""
    return body.replace(b'"heat_uid":"00000000', b'"heat_uid":"%08x' % plant).replace(
        b'"lot":"', b'"lot":"%d-' % plant
    )


def _with_older_bundle(body: bytes) -> bytes:
    request = json.loads(body)
    for recent in request["recent_heats"]:
        recent["bundle_hash"] = "0" * 64
    return _json(request)


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
