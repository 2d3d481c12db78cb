"""The report: what it shows is there, and comes from the simulated plant."""

import re
from pathlib import Path

import numpy as np
import pytest

from plant_simulator import cli, parameters, scenarios
from plant_simulator.bulk import Block
from plant_simulator.catalogue import LADLE_FURNACE, TAPPING, Catalogue
from plant_simulator.parameters import Parameters
from plant_simulator.policies import frontier
from plant_simulator.report import document, measures, traces

REAL_MEMORY = {"V": 0.54, "C": 0.36, "Cr": 0.33, "Si": 0.27, "Mn": 0.20}
"""Lag-1 autocorrelation of recovery at a real ladle furnace, as that plant saw it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with few heats."""
    target = tmp_path_factory.mktemp("report") / "plant"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "HEATS", 32)
        patch.setattr(frontier, "AIMS", (0.3, 0.5))
        for name, value in {"LINES": 16, "HEATS": 32, "START_HEAT": 17}.items():
            patch.setattr(traces, name, value)
        patch.setattr(document, "CONFIDENCES", (0.95,))
        cli.main(["report", "--output", str(target), "--policy-heats", "16"])
    return target


def test_every_picture_it_names_is_there(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((\w+\.png)\)", text)

    assert len(pictures) == 5
    assert {p.name for p in folder.glob("*.png")} == set(pictures)
    assert all((folder / name).stat().st_size > 5000 for name in pictures)


def test_it_tells_of_every_scenario_and_policy(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")

    assert all(f"| `{name}` |" in text for name in scenarios.SCENARIOS)
    assert all(f"| {name} |" in text for name in ("all-knowing", "informed", "handbook", "steelmaker"))
    assert "nan" not in text


def test_every_scenario_has_a_mark_to_look_at(plant: Catalogue) -> None:
    assert set(traces.marks(plant)) == set(scenarios.SCENARIOS)


def test_recovery_is_what_the_mass_balance_says(plant: Catalogue, figures: Parameters, past: Block) -> None:
    found = measures.recoveries(plant, figures, past)
    metal, killed = past.tapped, past.heats.hidden.is_al_killed == 1
    manganese = 2
    lost = (metal.undissolved_kg + metal.oxidised_kg)[~killed, manganese]
    expected = np.median(1 - lost / metal.added_kg[~killed, manganese])

    assert found[measures.SILICON_KILLED]["Mn"].median == pytest.approx(expected, abs=0.002)
    for spreads in found.values():
        assert all(s.p05 <= s.p25 <= s.median <= s.p75 <= s.p95 for s in spreads.values())
    assert found[measures.AL_KILLED]["V"].is_dosed
    assert found[measures.LADLE]["Ti"].is_dosed
    assert not found[measures.LADLE]["V"].is_dosed


def test_the_increment_teaches_what_the_final_chemistry_hides(plant: Catalogue, past: Block) -> None:
    slopes = measures.confounding(plant, past, LADLE_FURNACE, "Mn", "SiMn", LADLE_FURNACE)

    assert slopes is not None
    assert abs(slopes.naive) < 0.5 * slopes.physical
    assert slopes.learnt_share == pytest.approx(0.99, abs=0.06)


@pytest.mark.parametrize("element", list(REAL_MEMORY))
def test_memory_of_recovery_can_be_seen_as_on_a_real_ladle_furnace(
    plant: Catalogue, past: Block, element: str
) -> None:
    """In truth, by certificates, and by typical assays, where as much is added as at the real one."""
    memory = measures.memories(plant, past, (element,))[element]

    assert 200 <= memory.pairs < len(past.heats.hidden.heat_no)
    for lag1 in (memory.true, memory.seen, memory.seen_typical):
        assert lag1 == pytest.approx(REAL_MEMORY[element], abs=0.12)


@pytest.mark.parametrize(
    ("station", "element", "additive", "grade", "most"),
    [
        *((TAPPING, "Mn", "SiMn", grade, 0.15) for grade in ("B500B", "HRB400", "Rail76", "C45E")),
        *((LADLE_FURNACE, "Mn", "SiMn", grade, 0.15) for grade in ("B500B", "HRB400", "Rail76", "C45E")),
        *((LADLE_FURNACE, "C", "coke", grade, 0.25) for grade in ("Rail76", "C45E", "65G", "100Cr6")),
        *((LADLE_FURNACE, "Cr", "FeCrHC", grade, 0.4) for grade in ("Rail76", "42CrMo4", "100Cr6")),
        *((LADLE_FURNACE, "V", "FeV80", grade, 0.55) for grade in ("Rail76", "HRB400")),
    ],
)
def test_the_final_chemistry_hides_what_a_kilogram_does(
    plant: Catalogue, past: Block, station: str, element: str, additive: str, grade: str, most: float
) -> None:
    """Relative to what it does; real: Mn .02 and .05, C -.01, Cr .01, V .38."""
    slopes = measures.confounding(plant, past, station, element, additive, station, grade)

    assert slopes is not None
    assert abs(slopes.naive) < most * slopes.physical


def test_no_grade_with_enough_heats_gives_no_slope(plant: Catalogue, past: Block) -> None:
    assert measures.confounding(plant, past, TAPPING, "Ca", "CaSi", TAPPING) is None


def test_bins_hold_the_mean_of_the_heats_that_count(past: Block, figures: Parameters) -> None:
    heat_no = past.heats.hidden.heat_no
    middle, mean = measures.in_steps(past, heat_no.astype(np.float64), heat_no <= 20, 10)

    assert figures.campaign_min_heats > 0
    np.testing.assert_allclose(middle[:3], [5, 15, 25])
    np.testing.assert_allclose(mean[:2], [5.5, 15.5])
    assert np.isnan(mean[2:]).all()


def test_the_committed_report_is_of_the_default_plant(figures: Parameters) -> None:
    """Where this fails the plant's figures were changed: `make report` makes the report again."""
    report = Path(__file__).parents[3] / "docs" / "plant" / "README.md"

    assert f"`{parameters.fingerprint(figures)[:12]}`" in report.read_text(encoding="utf-8")
