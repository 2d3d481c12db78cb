"""A history is what a plant's Level 2 would hand over."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from contracts import faults

from plant_simulator import cli
from plant_simulator.catalogue import STATIONS, Catalogue
from plant_simulator.elements import ELEMENTS

FILES = ("heats.csv", "additives.csv", "mapping.yaml")


def made(folder: Path, *more: str, heats: int = 200, seed: int = 7) -> Path:
    cli.main(["history", "--heats", str(heats), "--seed", str(seed), "--output", str(folder), *more])
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    other = made(tmp_path / "c", seed=8)

    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "heats.csv").read_bytes() != (other / "heats.csv").read_bytes()


@pytest.mark.parametrize("station", STATIONS)
def test_every_column_of_the_mapping_is_in_the_files(tmp_path: Path, plant: Catalogue, station: str) -> None:
    folder = made(tmp_path, "--station", station, heats=100)
    mapping: dict[str, Any] = yaml.safe_load((folder / "mapping.yaml").read_text())
    heats, lots = read(folder / "heats.csv"), read(folder / "additives.csv")

    def columns(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["column"]} if "column" in node else set()
            return own.union(*(columns(v) for k, v in node.items() if k != "unit"))
        return set()

    for chemistry in ("chemistry_before", "chemistry_after"):
        assert set(mapping["heats"][chemistry]["columns"]) == set(ELEMENTS)
    named = columns(mapping["heats"]) | set(mapping["heats"]["weighed"]["columns"].values())
    named |= set(mapping["heats"]["decided"]["columns"].values())
    named |= {mapping["heats"][k] for k in ("heat_no", "grade", "completed_after_min")}
    assert named <= set(heats[0])
    table = mapping["additives"]["table"]
    assert {table[k] for k in ("additive", "lot", "price_per_t", "max_kg", "increment_kg")} <= set(lots[0])
    assert set(table["assay"]["columns"].values()) <= set(lots[0])
    assert mapping["station"] == station
    assert {row["grade"] for row in heats} <= set(mapping["grades"]["windows"])
    assert {row["additive"] for row in lots} == set(plant.additive_names)


def test_heats_are_in_order_of_time_and_end_before_the_end(tmp_path: Path) -> None:
    heats = read(made(tmp_path, "--end-at", "2025-06-01T00:00:00Z") / "heats.csv")
    times = [
        datetime.strptime(row["registered_at"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for row in heats
    ]

    assert times == sorted(times)
    assert len(set(times)) == len(times) == 200
    assert times[-1] < datetime(2025, 6, 1, tzinfo=UTC)


def test_each_lot_is_there_before_its_first_heat(tmp_path: Path) -> None:
    folder = made(tmp_path)
    first = min(row["registered_at"] for row in read(folder / "heats.csv"))
    by_additive: dict[str, list[str]] = {}
    for row in read(folder / "additives.csv"):
        by_additive.setdefault(row["additive"], []).append(row["valid_from"])

    for times in by_additive.values():
        assert times[0] <= first
        assert times == sorted(times)


def test_nothing_hidden_is_written_unless_asked_for(tmp_path: Path) -> None:
    without = made(tmp_path / "a")
    made(tmp_path / "b", "--truth", str(tmp_path / "hidden" / "truth.csv"))
    columns = set(read(without / "heats.csv")[0])
    hidden = read(tmp_path / "hidden" / "truth.csv")

    assert sorted(p.name for p in without.iterdir()) == sorted(FILES)
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == sorted(FILES)
    assert not columns & {
        "slag_reacts_share",
        "air_oxygen_kg_t",
        "oxidised_kg_Mn",
        "after_pct_Mn",
        "before_pct_Mn",
    }
    assert {"slag_reacts_share", "oxidised_kg_Mn", "after_pct_Mn"} <= set(hidden[0])
    assert len(hidden) == 200


def test_a_longer_history_begins_with_the_same_heats(tmp_path: Path) -> None:
    short, long = (
        read(made(tmp_path / "a") / "heats.csv"),
        read(made(tmp_path / "b", heats=400) / "heats.csv"),
    )
    for row in (*short, *long):
        row.pop("registered_at")

    assert long[:200] == short


def test_master_data_agrees_with_its_contract(tmp_path: Path, plant: Catalogue) -> None:
    file = tmp_path / "master-data.json"
    cli.main(["master-data", "--output", str(file), "--first-heat-no", "2001"])
    document = json.loads(file.read_text())

    assert faults("master-data/master-data.v1.schema.json", document) == []
    assert {a["additive"] for a in document["additives"]} == set(plant.additive_names)
    assert all(sum(a["assay"].values()) <= 100 for a in document["additives"])
    stations = {(e["station"], e["grade"]) for e in document["handbook_rule"]["entries"]}
    assert ("tapping", "*") in stations


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--heats", "0"], "a whole number >= 1"),
        (["--end-at", "yesterday"], "UTC such as"),
        (["--minutes-between-heats", "-1"], "a number above 0"),
    ],
)
def test_wrong_options_say_what_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["history", "--output", str(tmp_path), *arguments])

    assert what in capsys.readouterr().err
