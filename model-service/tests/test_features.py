"""Features: the state of a heat as numbers."""

import math

import pytest
from making import asked
from msgspec.structs import replace

from model_service.contracts import Below, Heat, Slag
from model_service.features import FEATURES, feature_unit, feature_values, path_of


def _heat() -> Heat:
    return replace(
        asked().heat,
        chemistry={"Mn": 0.09, "Si": Below(below=0.004), "V": None},
        slag=Slag(carry_over_kg_t=5.5, oxides={"FeO": 24.0, "CaO": 50.0, "SiO2": 20.0, "MgO": None}),
        features={"tap_minutes": 5.2, "stir_minutes": None},
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steel_mass_t", 119.4),
        ("temperature_c", 1650.0),
        ("oxygen_ppm", 812.0),
        ("slag_carry_over_kg_t", 5.5),
        ("slag_feo_pct", 24.0),
        ("slag_basicity", 2.5),
        ("mn_pct", 0.09),
        ("si_pct", 0.002),
        ("tap_minutes", 5.2),
    ],
)
def test_a_measurement_is_found_by_its_name(name: str, value: float) -> None:
    assert feature_values(_heat(), [name]) == [pytest.approx(value)]


@pytest.mark.parametrize(
    "name", ["v_pct", "cr_pct", "slag_mgo_pct", "slag_tio2_pct", "stir_minutes", "unheard"]
)
def test_what_is_not_measured_is_nan(name: str) -> None:
    assert math.isnan(feature_values(_heat(), [name])[0])


@pytest.mark.parametrize("fields", [{"temperature_c": 0.0}, {"oxygen_ppm": 9999.0}, {"slag": None}])
def test_what_cannot_be_is_nan(fields: dict[str, float]) -> None:
    names = {"temperature_c": "temperature_c", "oxygen_ppm": "oxygen_ppm", "slag": "slag_carry_over_kg_t"}
    name = names[next(iter(fields))]

    assert math.isnan(feature_values(replace(_heat(), **fields), [name])[0])


def test_every_feature_has_a_unit_and_a_path() -> None:
    for name in [*FEATURES, "tap_minutes"]:
        assert feature_unit(name)
        assert path_of(name).startswith("$.heat.")
