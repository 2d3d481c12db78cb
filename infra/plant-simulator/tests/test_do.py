"""do(Y), randomised additions and the commands around them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plant_simulator import cli
from plant_simulator.bulk import Block, simulate
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.elements import ELEMENTS, INDEX
from plant_simulator.errors import BadSettingError
from plant_simulator.parameters import Parameters
from plant_simulator.policies import do, scenes, speed
from plant_simulator.policies.randomised import randomised
from plant_simulator.tables import stack

SEED, LINES, HEATS = 5, 3, 40


@pytest.fixture(scope="module")
def block(plant: Catalogue, figures: Parameters) -> Block:
    return stack(list(simulate(plant, figures, SEED, LINES, HEATS)))


def written(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / name
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def treatments(block: Block, station: str, **more: Any) -> list[dict[str, Any]]:
    hidden = block.heats.hidden
    places = zip(hidden.line.tolist(), hidden.heat_no.tolist(), strict=True)
    return [
        {"seed": SEED, "line": line, "heat_no": heat_no, "station": station, **more}
        for line, heat_no in places
    ]


def additions(plant: Catalogue, rows: list[dict[str, Any]], kg: Any, **more: Any) -> list[dict[str, Any]]:
    return [
        {**row, "additive": additive, "decided_kg": float(kg[i, a]), **more}
        for i, row in enumerate(rows)
        for a, additive in enumerate(plant.additive_names)
        if kg[i, a] > 0
    ]


def by_place(table: pa.Table, block: Block, column: str) -> Any:
    """A column of the answer in the block's order (step, then line)."""
    order = np.lexsort((table["line"].to_numpy(), table["heat_no"].to_numpy()))
    values = table[column].to_numpy()[order]
    assert len(values) == len(block.heats.hidden.heat_no)
    return values


def test_the_same_additions_give_what_the_bulk_run_gave(
    plant: Catalogue, figures: Parameters, block: Block, tmp_path: Path
) -> None:
    tapping, ladle = treatments(block, TAPPING), treatments(block, LADLE_FURNACE)
    given = additions(plant, tapping, block.tapping.decided_kg)
    given += additions(plant, ladle, block.ladle.decided_kg)
    output = tmp_path / "out" / "outcomes.parquet"

    rows = do.run(
        plant,
        figures,
        written(tmp_path, "heats.parquet", tapping + ladle),
        written(tmp_path, "additions.parquet", given),
        output,
    )

    table = pq.read_table(output)
    assert rows == table.num_rows == 2 * LINES * HEATS
    for station, truth, seen in (
        (TAPPING, block.tapped, block.tapping.after),
        (LADLE_FURNACE, block.treated.metal, block.ladle.after),
    ):
        of = table.filter(pa.compute.equal(table["station"], station))
        for element in ("C", "Si", "Mn", "Cr", "Al"):
            e = INDEX[element]
            np.testing.assert_array_equal(
                by_place(of, block, f"true_pct_{element}"), truth.chemistry_pct[:, e]
            )
            measured = by_place(of, block, f"measured_pct_{element}")
            np.testing.assert_array_equal(measured, seen.chemistry_pct[:, e])
        np.testing.assert_array_equal(by_place(of, block, "weighed_kg_SiMn"), seen.weighed_kg[:, 0])


def test_a_ladle_that_is_named_alone_comes_as_the_steelmaker_tapped_it(
    plant: Catalogue, figures: Parameters, block: Block, tmp_path: Path
) -> None:
    ladle = treatments(block, LADLE_FURNACE)
    given = additions(plant, ladle, block.ladle.decided_kg)
    output = tmp_path / "outcomes.parquet"

    do.run(
        plant,
        figures,
        written(tmp_path, "heats.parquet", ladle),
        written(tmp_path, "additions.parquet", given),
        output,
    )

    mn = by_place(pq.read_table(output), block, "true_pct_Mn")
    np.testing.assert_array_equal(mn, block.treated.metal.chemistry_pct[:, INDEX["Mn"]])


def test_policies_meet_the_same_heat_and_a_kilogram_has_its_effect(
    plant: Catalogue, figures: Parameters, tmp_path: Path
) -> None:
    heat = {"seed": SEED, "heat_no": 7}
    base = [{**heat, "policy": p, "additive": "SiMn", "decided_kg": 900.0} for p in ("less", "more")]
    base[1] = {**base[1], "decided_kg": 910.0}
    output = tmp_path / "outcomes.parquet"

    do.run(
        plant,
        figures,
        written(tmp_path, "heats.parquet", [heat]),
        written(tmp_path, "additions.parquet", base),
        output,
    )

    less, more = sorted(pq.read_table(output).to_pylist(), key=lambda row: str(row["policy"]))
    effect = (more["true_pct_Mn"] - less["true_pct_Mn"]) / (more["tipped_kg_SiMn"] - less["tipped_kg_SiMn"])
    assert effect == pytest.approx(0.66 * 0.9 / 1200, rel=0.15)
    assert more["tipped_kg_SiMn"] - less["tipped_kg_SiMn"] == pytest.approx(10, abs=0.2)
    assert less["true_pct_Cu"] == pytest.approx(more["true_pct_Cu"], rel=1e-3)


def test_a_scenario_and_another_plant_change_the_outcome(
    plant: Catalogue, figures: Parameters, tmp_path: Path
) -> None:
    heats = [
        {"seed": SEED, "heat_no": 30, "scenario": "none", "parameter_set": 0},
        {"seed": SEED, "heat_no": 30, "scenario": "new-scrap-supplier@20", "parameter_set": 0},
        {"seed": SEED, "heat_no": 30, "scenario": "none", "parameter_set": 4},
    ]
    nothing = [{**heats[0], "additive": "SiMn", "decided_kg": 0.0}]
    output = tmp_path / "outcomes.parquet"

    do.run(
        plant,
        figures,
        written(tmp_path, "heats.parquet", heats),
        written(tmp_path, "additions.parquet", nothing),
        output,
    )

    table = pq.read_table(output).to_pylist()
    copper = {(row["scenario"], row["parameter_set"]): row["true_pct_Cu"] for row in table}
    assert len(copper) == 3
    assert copper["new-scrap-supplier@20", 0] - copper["none", 0] == pytest.approx(0.08, abs=0.001)
    assert copper["none", 4] != copper["none", 0]


@pytest.mark.parametrize(
    ("heat", "addition", "says"),
    [
        ({"heat_no": 0}, {}, "heat_no 0 at .*heats.parquet, row 0; allowed: a whole number >= 1"),
        ({"station": "caster"}, {}, "station 'caster' at .*; allowed: tapping, ladle_furnace"),
        ({"scenario": "flood"}, {"scenario": "flood"}, "unknown scenario 'flood'"),
        ({}, {"additive": "gold"}, "unknown additive 'gold' at .*additions.parquet, row 0; allowed: SiMn"),
        ({}, {"decided_kg": -1.0}, "decided_kg -1.0 at .*row 0; allowed: kilograms >= 0"),
        ({}, {"decided_kg": float("inf")}, "decided_kg inf at"),
        ({}, {"heat_no": 9}, "heat_no 9, .* allowed: a treatment of"),
    ],
)
def test_what_cannot_be_is_refused_with_its_row(
    plant: Catalogue,
    figures: Parameters,
    tmp_path: Path,
    heat: dict[str, Any],
    addition: dict[str, Any],
    says: str,
) -> None:
    heats = written(tmp_path, "heats.parquet", [{"seed": 1, "heat_no": 2, **heat}])
    row = {"seed": 1, "heat_no": 2, "additive": "SiMn", "decided_kg": 10.0, **addition}
    given = written(tmp_path, "additions.parquet", [row])

    with pytest.raises(BadSettingError, match=says):
        do.run(plant, figures, heats, given, tmp_path / "out.parquet")


def test_a_missing_column_and_a_heat_named_twice_are_refused(
    plant: Catalogue, figures: Parameters, tmp_path: Path
) -> None:
    heat = {"seed": 1, "heat_no": 2}
    given = written(tmp_path, "additions.parquet", [{**heat, "additive": "SiMn", "decided_kg": 1.0}])

    with pytest.raises(BadSettingError, match="no column heat_no"):
        do.run(plant, figures, written(tmp_path, "a.parquet", [{"seed": 1}]), given, tmp_path / "out.parquet")
    with pytest.raises(BadSettingError, match=r"again at .*row 1"):
        do.run(plant, figures, written(tmp_path, "b.parquet", [heat, heat]), given, tmp_path / "out.parquet")


def test_randomised_additions_do_not_depend_on_chemistry(plant: Catalogue, figures: Parameters) -> None:
    """Within a grade no reading and no truth before a heat goes with its kilograms; the steelmaker's do."""
    policy = randomised(plant, figures, SEED)
    free = stack(list(simulate(plant, figures, SEED, 64, 64, policy)))
    bound = stack(list(simulate(plant, figures, SEED, 64, 64)))

    def strongest(block: Block, station: str) -> float:
        at = block.tapping if station == TAPPING else block.ladle
        hidden: Any = block.heats.hidden if station == TAPPING else block.ladles
        found = []
        for grade in range(len(plant.grades)):
            of = (at.before.grade == grade) & ~np.isnan(at.before.chemistry_pct[:, 0])
            if of.sum() < 300:
                continue
            kg = at.decided_kg[of][:, at.decided_kg[of].std(axis=0) > 0]
            causes = [hidden.chemistry_pct[of][:, INDEX[e]] for e in ("C", "Si", "Mn")]
            causes += [at.before.chemistry_pct[of][:, INDEX[e]] for e in ("C", "Mn")] + [
                hidden.steel_mass_t[of]
            ]
            for cause in causes:
                if cause.std() > 0:
                    found += [abs(np.corrcoef(cause, column)[0, 1]) * np.sqrt(of.sum()) for column in kg.T]
        return float(max(found))

    for station in (TAPPING, LADLE_FURNACE):
        assert strongest(free, station) < 4.5  # in standard errors: the largest of several hundred
        assert strongest(bound, station) > 9


def test_randomised_additions_vary_and_are_the_same_again(plant: Catalogue, figures: Parameters) -> None:
    runs = [
        next(simulate(plant, figures, SEED, 16, 32, randomised(plant, figures, SEED))).tapping.decided_kg
        for _ in range(2)
    ]

    np.testing.assert_array_equal(runs[0], runs[1])
    silicomanganese = runs[0][:, 0][runs[0][:, 0] > 0]
    assert np.std(silicomanganese) > 0.15 * np.mean(silicomanganese)


def test_digests_tell_plants_apart(plant: Catalogue, figures: Parameters) -> None:
    first, again, other = (speed.measure(plant, figures, seed, 512, 16) for seed in (1, 1, 2))

    assert first.digest == again.digest
    assert first.digest != other.digest
    assert first.heats == 512


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heat = {"seed": 1, "heat_no": 2}
    heats = written(tmp_path, "heats.parquet", [heat])
    given = written(tmp_path, "additions.parquet", [{**heat, "additive": "coke", "decided_kg": 50.0}])
    output = tmp_path / "outcomes.parquet"

    cli.main(["do", "--heats", str(heats), "--additions", str(given), "--output", str(output)])
    cli.main(["randomised", "--heats", "64", "--lines", "4", "--output", str(tmp_path / "randomised")])
    cli.main(
        ["policy", "--name", "handbook", "--heats", "32", "--in-window", "0.9", "--station", LADLE_FURNACE]
    )
    cli.main(["bench", "--heats", "128", "--lines", "4"])

    said = capsys.readouterr().out
    assert "1 outcomes" in said
    assert "64 heats" in said
    assert "tuned to 90.0%" in said
    assert json.loads(said.splitlines()[-1])["heats"] == 128
    assert pq.read_table(output).num_rows == 1
    seen = pq.read_table(tmp_path / "randomised" / "observed.parquet")
    assert seen.num_rows == 128
    assert {f"decided_kg_{a}" for a in ("SiMn", "coke")} < set(seen.column_names)
    assert {f"before_pct_{e}" for e in ELEMENTS} < set(seen.column_names)


def test_every_scene_has_its_own_figures(figures: Parameters) -> None:
    assert scenes.figures_of(figures, scenes.Scene(1)) is figures
    assert scenes.figures_of(figures, scenes.Scene(1, 3)) != figures


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["policy", "--heats", "0"], "'0'; allowed: a whole number >= 1"),
        (["policy", "--miss-price", "-3"], "'-3'; allowed: a number >= 0"),
        (["randomised", "--parameter-set", "x", "--output", "o"], "'x'; allowed: a whole number >= 0"),
        (["bench", "--lines", "1.5"], "'1.5'; allowed: a whole number >= 1"),
        (["policy", "--name", "oracle"], "invalid choice: 'oracle'"),
    ],
)
def test_options_that_cannot_be_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)

    assert says in capsys.readouterr().err
