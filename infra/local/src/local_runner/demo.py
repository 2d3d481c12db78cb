"""The demo from top to bottom."""

import shlex

from local_runner.access import PEOPLE, password
from local_runner.errors import NotReady
from local_runner.folder import Remembered, claimed, recall, remember, write_json
from local_runner.heats import (
    lake_count,
    play_command,
    play_to_the_end,
    remember_played,
    summary_lines,
    wait_for_lake,
)
from local_runner.leftovers import end_leftovers
from local_runner.plan import Plan, Ports, Service
from local_runner.ports import free_port, is_free, require_free
from local_runner.preparation import make_database, make_environments, make_first_model
from local_runner.processes import Processes
from local_runner.progress import say, step
from local_runner.readiness import get_json
from local_runner.references import References
from local_runner.settings import ENDLESS_HEATS, Settings


def demo(settings: Settings, environment: dict[str, str]) -> None:
    """Start everything and play heats: until stopped, or, headless, until the lake holds them all."""
    with claimed(settings.demo_dir):
        for pid in end_leftovers(settings.demo_dir):
            say(f"   - process {pid} was left over from a demo that was killed; ended")
        facts = recall(settings.demo_dir)
        ports = choose_ports(settings, facts)
        plan = Plan(settings, ports)
        processes = Processes(settings.demo_dir, environment, restart=settings.restart)
        processes.catch_signals()
        try:
            start(plan, processes, facts)
            if settings.headless:
                run_to_completion(plan, processes, facts)
            else:
                run_until_stopped(plan, processes, facts)
        finally:
            with step("stop everything that was started"):
                processes.stop_all()
            remember_played(plan, facts)
            (settings.demo_dir / "urls.json").unlink(missing_ok=True)


def start(plan: Plan, processes: Processes, facts: Remembered) -> None:
    """Prepare what is missing, then start the bus and everything around it, and wait until each is ready."""
    say(f"   data, logs and models of this demo: {plan.settings.demo_dir}")
    make_environments(plan, processes)
    (plan.settings.demo_dir / "mlflow").mkdir(exist_ok=True)
    with step("data bus") as current:
        bring_up(plan.nats(), processes)
        current.note(str(plan.urls["nats"]))
    make_first_model(plan, processes, facts)
    make_database(plan, processes, facts)
    services = plan.services()
    for service in services:
        processes.start(service.command)
    for service in services:
        with step(service.command.name):
            wait_until_ready(service, processes)
    write_json(plan.settings.demo_dir / "urls.json", plan.urls)


def run_to_completion(plan: Plan, processes: Processes, facts: Remembered) -> None:
    """Play the heats, prove that the lake has them, print one screen."""
    before = lake_count(plan)
    report = play_to_the_end(plan, processes, facts)
    wait_for_lake(plan, processes, report["treatments"], before)
    say("")
    for line in summary_lines(get_json(f"{plan.urls['monitoring']}/api/v1/summary") or {}, report):
        say(f"   {line}")
    say("")
    command = plan.mlflow().command
    settings = " ".join(f"{name}={value}" for name, value in command.settings.items())
    say(f"   MLflow's page is not started headless. To see the runs: {settings} {shlex.join(command.argv)}")


def run_until_stopped(plan: Plan, processes: Processes, facts: Remembered) -> None:
    """Play heats at the plant's pace, show where everything is, and watch until a signal or a death."""
    if plan.settings.heats:
        processes.launch(play_command(plan, facts))
    for line in url_lines(plan):
        say(line)
    if plan.settings.mlflow:  # only people wait for it, so nothing else does
        processes.start(plan.mlflow().command)
        with step("mlflow"):
            wait_until_ready(plan.mlflow(), processes)
    played = not plan.settings.heats
    references = References(plan, processes)
    while True:
        processes.pause()
        references.tend()
        if not played and processes.finished("plant"):
            say(f"   the plant has ended: {processes.require_success('plant')}")
            played = True


def bring_up(service: Service, processes: Processes) -> None:
    """Start a service and wait for it."""
    processes.start(service.command)
    wait_until_ready(service, processes)


def wait_until_ready(service: Service, processes: Processes) -> None:
    """Wait until `service` is ready; raise `NotReady` with the end of its log."""
    if not processes.wait(service.ready, service.ready_s):
        name = service.command.name
        raise NotReady(f"{name} is not ready after {service.ready_s:.0f} s.\n{processes.tail(name)}")


def choose_ports(settings: Settings, facts: Remembered) -> Ports:
    """Return the ports of this demo; raise `PortTaken` before anything is started."""
    wanted = {
        "BACKEND_PORT": settings.backend_port,
        "MODEL_PORT": settings.model_port,
        "MONITORING_PORT": settings.monitoring_port,
        "MLFLOW_PORT": settings.mlflow_port if settings.mlflow else 0,
        "NATS_PORT": settings.nats_port or 0,
    }
    require_free({name: port for name, port in wanted.items() if port})
    if not settings.nats_port and facts.nats_port and is_free(facts.nats_port):
        wanted["NATS_PORT"] = facts.nats_port
    backend, model, monitoring, mlflow, nats = [port or free_port() for port in wanted.values()]
    facts.nats_port = nats
    remember(settings.demo_dir, facts)
    return Ports(backend, model, monitoring, mlflow, nats, nats_monitor=free_port(), shadow=free_port())


def url_lines(plan: Plan) -> list[str]:
    """Return the block that tells a person where to look."""
    urls = plan.urls
    rows = [
        ("Steelmaker's page", urls["backend"]),
        ("  log in as", f"{', '.join(PEOPLE)}; password {password(plan.settings.demo_dir)}"),
        ("Monitoring", urls["monitoring"]),
        ("Model Service", f"{urls['model_service']}/v1/model"),
        ("MLflow", f"{urls['mlflow']}  (takes a moment)" if urls["mlflow"] else "not started: MLFLOW=1 does"),
        ("Data bus", urls["nats"]),
    ]
    rule = "   " + "-" * 64
    pace = (
        f"{plan.settings.heats_per_minute:g} heats a minute"
        if plan.settings.heats_per_minute
        else "full speed"
    )
    count = (
        "until it is stopped" if plan.settings.heats >= ENDLESS_HEATS else f"{plan.settings.heats:,} heats"
    )
    return [
        "",
        rule,
        *(f"   {name:<20}{url}" for name, url in rows),
        rule,
        f"   The plant plays {pace}, {count}. Logs: {plan.settings.demo_dir / 'logs'}",
        "   Ctrl-C stops everything that was started here.",
        "",
    ]
