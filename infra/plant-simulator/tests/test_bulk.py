"""Many lines side by side: the same heats however they are cut, in bounded memory, truth apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from plant_simulator import bulk, cli
from plant_simulator.bulk import Block, Truth, View
from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import Floats
from plant_simulator.parameters import Parameters
from plant_simulator.tables import rows, stack

SEED, HEATS = 11, 80


def made(plant: Catalogue, figures: Parameters, lines: Any, **how: Any) -> Block:
    return stack(list(bulk.simulate(plant, figures, SEED, lines, HEATS, **how)))


def same(first: Any, second: Any) -> None:
    for name, value in vars(first).items():
        other = getattr(second, name)
        if hasattr(value, "dtype"):
            assert value.tobytes() == np.ascontiguousarray(other).tobytes(), name
        else:
            same(value, other)


@pytest.fixture(scope="module")
def eight(plant: Catalogue, figures: Parameters) -> Block:
    return made(plant, figures, 8)


def test_heats_are_bit_identical_on_every_run_and_block_size(
    plant: Catalogue, figures: Parameters, eight: Block
) -> None:
    same(eight, made(plant, figures, 8))
    same(eight, made(plant, figures, 8, block_heats=64))


@pytest.mark.parametrize("lines", [[0], [5], [2, 7], [7, 2, 3]])
def test_a_line_is_bit_identical_whatever_other_lines_run(
    plant: Catalogue, figures: Parameters, eight: Block, lines: list[int]
) -> None:
    index = (np.arange(HEATS)[:, None] * 8 + np.array(lines)).ravel()

    same(rows(eight, index), made(plant, figures, lines))


def test_memory_is_bounded_by_the_block(plant: Catalogue, figures: Parameters) -> None:
    sizes = [len(b.heats.hidden.heat_no) for b in bulk.simulate(plant, figures, SEED, 4, 100)]

    assert sizes == [128, 128, 128, 16]


def test_a_policy_decides_from_readings_only_and_meets_the_same_heats(
    plant: Catalogue, figures: Parameters, eight: Block
) -> None:
    seen: list[str] = []

    def half(view: View, step: int) -> Floats:
        assert not hasattr(view, "truth")
        assert (view.last is None) == (step == 0)
        seen.append(view.station)
        return view.own_kg / 2

    other = made(plant, figures, 8, policy=half)

    assert seen[:4] == ["tapping", "ladle_furnace", "tapping", "ladle_furnace"]
    same(other.heats, eight.heats)
    assert other.tapping.decided_kg.sum() < eight.tapping.decided_kg.sum()


def test_a_knowing_policy_has_a_door_of_its_own(plant: Catalogue, figures: Parameters, eight: Block) -> None:
    def knows(view: View, truth: Truth, step: int) -> Floats:
        assert (truth.ladles is None) == (view.station == "tapping")
        np.testing.assert_array_equal(truth.tapping.heat_no, step + 1)
        return view.own_kg

    same(made(plant, figures, 8, knowing=knows), eight)


def written(folder: Path, *more: str) -> Path:
    cli.main(["bulk", "--heats", "160", "--lines", "4", "--seed", "3", "--output", str(folder), *more])
    return folder


def test_bulk_writes_what_is_known_and_the_truth_to_separate_files(tmp_path: Path, plant: Catalogue) -> None:
    folder = written(tmp_path)
    observed, truth = (
        pq.read_table(folder / "observed.parquet"),
        pq.read_table(folder / "hidden/truth.parquet"),
    )
    lots = pq.read_table(folder / "lots.parquet")

    assert observed.num_rows == truth.num_rows == 320
    keys = ["line", "heat_no", "station"]
    assert observed.select(keys).equals(truth.select(keys))
    assert set(lots["additive"].to_pylist()) == set(plant.additive_names)
    known = set(zip(*(lots[c].to_pylist() for c in ("line", "additive", "lot_no")), strict=True))
    used = zip(observed["line"].to_pylist(), observed["lot_no_SiMn"].to_pylist(), strict=True)
    assert {(line, "SiMn", lot) for line, lot in used} <= known
    assert observed["oxygen_ppm"].null_count >= 160


def test_the_same_seed_writes_the_same_bytes_whatever_the_block(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    other = written(tmp_path / "c", "--block-heats", "2")

    for name in ("observed.parquet", "hidden/truth.parquet", "lots.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        order = [("line", "ascending"), ("heat_no", "ascending")]
        if name != "lots.parquet":
            a, b = (
                pq.read_table(f / name).sort_by([*order, ("steel_mass_t", "ascending")])
                for f in (first, other)
            )
            assert a.equals(b)


def test_there_are_exactly_as_many_heats_as_asked_for(tmp_path: Path) -> None:
    folder = written(tmp_path, "--heats", "161")

    assert pq.read_table(folder / "observed.parquet").num_rows == 322
