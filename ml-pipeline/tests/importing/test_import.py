"""Whole imports of made-up extracts with the flaws of real ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import extracts
import polars as pl
import pytest

from ml_pipeline import lake
from ml_pipeline.errors import MappingError
from ml_pipeline.importing.extract_import import Imported, read_extract, write_import
from ml_pipeline.importing.mapping import load_mapping
from ml_pipeline.importing.summary import summary

Rows = list[dict[str, Any]]


def run(folder: Path, rows: Rows, mapping: str = extracts.MAPPING, **options: Any) -> Imported:
    return read_extract(folder, load_mapping(extracts.write(folder, rows, mapping, **options)))


def final(imported: Imported, row: int, element: str) -> float | None:
    sample = imported.heats["samples"][row][0]
    return next((a["pct"] for a in sample["chemistry"] if a["element"] == element), None)


def before(imported: Imported, row: int) -> dict[str, tuple[float | None, float | None]]:
    return {a["element"]: (a["pct"], a["below_pct"]) for a in imported.heats["chemistry"][row]}


class TestUnits:
    def test_mass_fractions_and_kilograms_become_percent_and_tonnes(self, tmp_path: Path) -> None:
        rows = extracts.heats(40)
        imported = run(tmp_path, rows)

        assert imported.heats["steel_mass_t"][0] == rows[0]["steel_kg"] / 1000  # type: ignore[operator]
        assert final(imported, 0, "Mn") == pytest.approx(rows[0]["final_Mn"] * 100)  # type: ignore[operator]
        assert before(imported, 0)["Si"] == (None, 0.002)
        weighed = {a["additive"]: a["added_kg"] for a in imported.heats["weighed"][0]}
        assert weighed["硅锰"] == rows[0]["kg_SiMn"]

    def test_tonnes_ppm_semicolons_and_decimal_commas(self, tmp_path: Path) -> None:
        plain = run(tmp_path / "plain", extracts.heats(40))
        rows: Rows = extracts.heats(40)
        for row in rows:
            row["kg_SiMn"] = f"{row['kg_SiMn'] / 1000:.4f}"
            row["kg_FeSi"], row["kg_coke"] = (f"{row[k] / 1000:.4f}" for k in ("kg_FeSi", "kg_coke"))
            row["tap_C"] = row["tap_C"] * 1e6
            for key, value in row.items():
                row[key] = str(value).replace(".", ",")
        text = extracts.MAPPING.replace("{C: tap_C,", "{C: {column: tap_C, unit: ppm},")
        text = text.replace("  weighed:\n    unit: kg", "  weighed:\n    unit: t")
        text = text.replace(
            "  heat_no: heat_id", '  delimiter: ";"\n  decimal: ","\n  encoding: cp1251\n  heat_no: heat_id'
        )
        imported = run(tmp_path / "other", rows, text, delimiter=";", encoding="cp1251")

        assert before(imported, 3)["C"][0] == pytest.approx(before(plain, 3)["C"][0], rel=1e-9)
        theirs = {a["additive"]: a["added_kg"] for a in imported.heats["weighed"][3]}
        assert theirs == pytest.approx({a["additive"]: a["added_kg"] for a in plain.heats["weighed"][3]})
        assert imported.heats["grade"].to_list() == plain.heats["grade"].to_list()


class TestRowsInQuarantine:
    @pytest.mark.parametrize(
        ("flaw", "reason"),
        [
            (lambda r: r.update(steel_kg=243250), "mass implausible"),
            (lambda r: r.update(steel_kg=""), "mass missing"),
            (lambda r: r.update(final_C="", final_Mn="", final_Si=""), "no result"),
            (lambda r: r.update(kg_SiMn=0), "impossible balance of Mn"),
            (lambda r: r.update(kg_SiMn=2 * r["kg_SiMn"]), "impossible balance of Mn"),
            (lambda r: r.update(kg_SiMn=0, final_Mn=""), "no or double source of Mn"),
            (lambda r: r.update(kg_coke=-5), "negative addition"),
            (lambda r: r.update(kg_coke="lots"), "addition unknown"),
            (lambda r: r.update(kg_coke=99000), "addition implausible"),
            (lambda r: r.update(final_Mn=1.3), "chemistry above 100 %"),
            (lambda r: r.update(grade=""), "no grade"),
            (lambda r: r.update({k: "" for k in r if k not in ("heat_id", "grade")}), "empty row"),
        ],
    )
    def test_impossible_row_is_kept_aside_with_its_reason(
        self, tmp_path: Path, flaw: Callable[[dict[str, Any]], None], reason: str
    ) -> None:
        rows: Rows = extracts.heats(120)
        flaw(rows[17])

        imported = run(tmp_path, rows)

        assert dict(imported.reasons) == {reason: 1}
        assert imported.heats.height == 119
        kept = imported.quarantine.row(0, named=True)
        assert kept["where"] == "toy-bof: heats.csv line 19"
        assert kept["allowed"]
        assert '"T00017"' in kept["row"]

    @pytest.mark.parametrize(
        ("steel_kg", "plausible", "what", "allowed"),
        [
            (900000, ", plausible: [20000, 200000]", "the steel mass is 900.0 t", "20 to 200 t"),
            (0, "", "the steel mass is 0.0 t", "above 0 t"),
            (900000, "", "the steel mass is 900.0 t", "from the median"),
            ("much", "", "no number", "above 0"),
        ],
    )
    def test_wrong_mass_is_said_with_what_is_allowed(
        self, tmp_path: Path, steel_kg: object, plausible: str, what: str, allowed: str
    ) -> None:
        rows: Rows = extracts.heats(120)
        rows[17].update(steel_kg=steel_kg)
        mapping = extracts.MAPPING.replace(
            "{column: steel_kg, unit: kg", "{column: steel_kg, unit: kg" + plausible
        )

        kept = run(tmp_path, rows, mapping).quarantine

        assert kept.height == 1
        assert what in kept["what"][0]
        assert allowed in kept["allowed"][0]

    @pytest.mark.parametrize(("oxygen_ppm", "reasons"), [(700, {"impossible balance of Si": 1}), (1900, {})])
    def test_silicon_that_much_oxygen_may_have_burnt_is_not_impossible(
        self, tmp_path: Path, oxygen_ppm: float, reasons: dict[str, int]
    ) -> None:
        rows: Rows = extracts.heats(120)
        rows[17].update(O_ppm=oxygen_ppm, final_Si=0.4 * rows[17]["final_Si"])

        assert dict(run(tmp_path, rows).reasons) == reasons

    def test_same_row_twice_is_taken_once(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)

        imported = run(tmp_path, [*rows, dict(rows[5])])

        assert dict(imported.reasons) == {"duplicate heat, same content": 1}
        assert imported.heats.height == 40

    def test_heat_with_two_results_is_not_taken_at_all(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)

        imported = run(tmp_path, [*rows, {**rows[5], "final_C": 0.0021}])

        assert dict(imported.reasons) == {"duplicate heat, different content": 2}
        assert imported.heats.height == 39

    def test_row_with_another_number_of_cells_is_kept_aside(self, tmp_path: Path) -> None:
        mapping = extracts.write(tmp_path, extracts.heats(40))
        lines = (tmp_path / "heats.csv").read_text().splitlines()
        (tmp_path / "heats.csv").write_text("\n".join([*lines[:9], "T9,A,1660", *lines[9:]]))

        imported = read_extract(tmp_path, load_mapping(mapping))

        assert imported.heats.height == 40
        assert imported.quarantine["where"].to_list() == ["toy-bof: heats.csv line 10"]
        assert imported.quarantine["what"].to_list() == ["3 cells"]

    def test_time_that_cannot_be_read_puts_the_row_aside(self, tmp_path: Path) -> None:
        rows: Rows = [
            {**row, "when": f"2025-03-01 {i % 24:02d}:{i % 60:02d}:00"}
            for i, row in enumerate(extracts.heats(60))
        ]
        rows[3]["when"] = "yesterday"
        text = extracts.MAPPING.replace(
            "{order: file, start: 2025-01-01T00:00:00Z, spacing_min: 40}",
            "{column: when, timezone: Asia/Shanghai}",
        )

        imported = run(tmp_path, rows, text)

        assert dict(imported.reasons) == {"no readable time": 1}
        first = imported.heats.filter(pl.col("heat_no") == "T00010")["registered_at"][0]
        assert first.isoformat() == "2025-03-01T02:10:00+00:00"


class TestReadingsTakenAsMissing:
    def test_zero_and_too_hot_temperatures_cost_the_field_not_the_heat(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)
        rows[1]["T_tap"], rows[2]["T_tap"], rows[3]["O_ppm"] = 0, 1807, 9999

        imported = run(tmp_path, rows)

        assert imported.heats.height == 40
        assert imported.heats["temperature_c"][1] is None
        assert imported.heats["oxygen_ppm"][3] is None
        assert imported.flaws["temperature_c", "outside 1500 to 1780"] == 2
        assert imported.flaws["oxygen_ppm", "outside 1 to 3000"] == 1

    def test_negative_silicon_is_below_detection_and_zero_carbon_not_measured(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)
        rows[0]["tap_Si_pct"], rows[1]["tap_C"], rows[2]["tap_Mn"] = -0.002, 0, "n/a"

        imported = run(tmp_path, rows)

        assert before(imported, 0)["Si"] == (None, 0.002)
        assert "C" not in before(imported, 1)
        assert imported.flaws["before.C", "zero (not measured)"] == 1
        assert imported.flaws["before.Mn", "not a number"] == 1

    def test_instrument_that_is_stuck_for_many_heats_counts_as_missing(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(200)
        for row in rows[:120]:
            row["tap_Mn"] = 0.0009

        imported = run(tmp_path, rows)

        assert "Mn" not in before(imported, 50)
        assert "Mn" in before(imported, 150)
        assert imported.flaws["before.Mn", "stuck: 100 or more equal readings in a row"] == 120


class TestAdditives:
    def offered(self, imported: Imported) -> set[str]:
        return {
            a["additive"]
            for a in imported.heats["additives"][0]
            if a["price_per_t"] is not None and a["max_kg"] != 0
        }

    def test_implausible_price_is_not_offered_but_its_assay_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cheap = [{**a, "price": 150} if a["name"] == "FeAl" else a for a in extracts.ADDITIVES]
        monkeypatch.setattr(
            extracts, "ADDITIVES", [*cheap, {**cheap[3], "name": "Al", "Al": 0.98, "Si": 0, "price": 2400}]
        )
        rows: Rows = extracts.heats(40)
        text = extracts.MAPPING.replace("FeAl: [kg_FeAl, kg_FeAl2]", "FeAl: kg_FeAl")

        imported = run(tmp_path, [{**row, "kg_FeAl": 10} for row in rows], text)

        assert "FeAl" not in self.offered(imported)
        assert any(name == "FeAl" and "implausible" in note for name, note in imported.additives)
        assert any(a["additive"] == "FeAl" and a["assay"] for a in imported.heats["additives"][0])
        assert imported.heats["weighed_cost"][0] is None

    def test_two_columns_of_one_additive_are_summed_and_it_is_not_offered(self, tmp_path: Path) -> None:
        rows: Rows = [{**row, "kg_FeAl": i % 3, "kg_FeAl2": 4} for i, row in enumerate(extracts.heats(40))]

        imported = run(tmp_path, rows)

        weighed = {a["additive"]: a["added_kg"] for a in imported.heats["weighed"][2]}
        assert weighed["FeAl"] == 6.0
        assert "FeAl" not in self.offered(imported)

    def test_column_that_repeats_another_is_counted_once(self, tmp_path: Path) -> None:
        imported = run(tmp_path, [{**row, "kg_FeAl": 5, "kg_FeAl2": 5} for row in extracts.heats(40)])

        weighed = {a["additive"]: a["added_kg"] for a in imported.heats["weighed"][2]}
        assert weighed["FeAl"] == 5.0
        assert ("added.FeAl", "column kg_FeAl2 repeats another: counted once") in imported.flaws

    def test_most_that_the_plant_used_limits_what_is_recommended(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)
        imported = run(tmp_path, rows)

        coke = next(a for a in imported.heats["additives"][0] if a["additive"] == "coke")
        assert coke["max_kg"] <= max(row["kg_coke"] for row in rows)

    def test_what_an_additive_chills_is_as_the_mapping_says(self, tmp_path: Path) -> None:
        text = extracts.MAPPING.replace(
            "FeSi: {increment_kg: 5}", "FeSi: {increment_kg: 5, chill_c_per_kg_t: 0.9}"
        )
        offers = run(tmp_path, extracts.heats(40), text).heats["additives"][0]

        assert {o["additive"]: o["chill_c_per_kg_t"] for o in offers if o["additive"] != "FeAl"} == {
            "硅锰": None,
            "FeSi": 0.9,
            "coke": None,
        }

    def test_the_lot_in_the_bin_gives_assay_and_name(self, tmp_path: Path) -> None:
        mapping = extracts.MAPPING.replace(
            "additive: name\n", "additive: name\n    lot: lot\n    valid_from: {column: since}\n"
        )
        path = extracts.write(tmp_path, extracts.heats(60), mapping)
        lots = [
            {
                **a,
                "lot": f"{a['name']}-{n}",
                "since": f"2025-01-0{n} 00:00:00",
                "Mn": a["Mn"] * (1 - 0.02 * (n - 1)),
            }  # type: ignore[operator]
            for a in extracts.ADDITIVES
            for n in (1, 2)
        ]
        extracts.write_csv(tmp_path / "additives.csv", lots)

        heats = read_extract(tmp_path, load_mapping(path)).heats

        assert heats["weighed"][0][0]["lot"] == "硅锰-1"
        assert heats["weighed"][40][0]["lot"] == "硅锰-2"
        assay = {e["element"]: e["pct"] for e in heats["additives"][40][0]["assay"]}
        assert assay["Mn"] == pytest.approx(64.68)

    def test_assay_above_100_names_the_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(extracts, "ADDITIVES", [{**a, "Mn": 66.0} for a in extracts.ADDITIVES])

        with pytest.raises(
            MappingError, match=r"additives.csv line 2: assay of 硅锰.*is the unit mass_fraction"
        ):
            run(tmp_path, extracts.heats(40))


class TestWindows:
    def test_grade_without_windows_gets_quantiles_of_its_results(self, tmp_path: Path) -> None:
        imported = run(tmp_path, extracts.heats(200))

        row = imported.heats.filter(pl.col("grade") == "Б")["windows"][0]
        assert {w["element"] for w in row} == {"C", "Mn", "Si"}
        assert all(w["min_pct"] < w["aim_pct"] < w["max_pct"] for w in row)
        assert set(imported.derived_windows) == {"Б"}

    def test_grade_with_few_results_has_none_and_is_named(self, tmp_path: Path) -> None:
        imported = run(tmp_path, extracts.heats(40))

        assert imported.heats.filter(pl.col("grade") == "Б")["windows"][0].to_list() == []
        assert set(imported.without_windows) == {"Б"}


class TestHandbook:
    RULE = """
handbook:
  assumed_pct: {Mn: 0.1}
  nominal_recovery: {Si: 0.8}
  steps:
    - {element: Mn, additives: [硅锰]}
    - {element: Si, additives: [FeSi]}
    - {element: C, additives: [coke]}
"""

    def test_rule_is_applied_with_recoveries_derived_from_the_results(self, tmp_path: Path) -> None:
        imported = run(tmp_path, extracts.heats(60), extracts.MAPPING + self.RULE)

        notes = dict(imported.additives)
        assert notes["handbook recovery of Mn"].startswith("derived: 0.8")
        assert "handbook recovery of Si" not in notes
        row = imported.heats.filter(pl.col("grade") == "A").row(0, named=True)
        simn = next(a["added_kg"] for a in row["handbook"] if a["additive"] == "硅锰")
        assert simn == pytest.approx(
            next(a["added_kg"] for a in row["weighed"] if a["additive"] == "硅锰"), rel=0.2
        )
        assert row["handbook_cost"] == pytest.approx(row["weighed_cost"], rel=0.2)

    def test_heat_without_windows_has_no_rule(self, tmp_path: Path) -> None:
        imported = run(tmp_path, extracts.heats(60), extracts.MAPPING + self.RULE)

        row = imported.heats.filter(pl.col("grade") == "Б").row(0, named=True)
        assert (row["handbook"], row["handbook_cost"]) == ([], None)

    def test_step_with_an_unknown_additive_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MappingError, match=r"handbook\.steps\.FeS: no assay for 'FeS'.*near names: FeSi"):
            run(tmp_path, extracts.heats(5), extracts.MAPPING + self.RULE.replace("[FeSi]", "[FeS]"))


class TestLake:
    def test_rows_have_the_schema_of_the_contract(self, tmp_path: Path) -> None:
        imported = run(tmp_path / "extract", extracts.heats(40))
        write_import(tmp_path / "lake", imported)

        rows, _ = lake.scan(tmp_path / "lake", "heats")
        assert rows.collect_schema() == lake.polars_schema("heats")
        assert imported.heats["origin"].unique().to_list() == ["import"]

    def test_importing_again_adds_nothing(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)
        rows[3]["steel_kg"] = 243000
        imported = run(tmp_path / "extract", rows)
        first = write_import(tmp_path / "lake", imported)

        again = write_import(tmp_path / "lake", run(tmp_path / "extract", rows))

        assert (first.new, first.quarantined) == (39, 1)
        assert (again.new, again.revised, again.quarantined) == (0, 0, 0)
        assert again.version == first.version

    def test_later_heats_of_a_longer_extract_are_added(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(60)
        write_import(tmp_path / "lake", run(tmp_path / "extract", rows[:40]))

        again = write_import(tmp_path / "lake", run(tmp_path / "extract", rows))

        assert (again.new, again.revised) == (20, 0)

    def test_corrected_row_becomes_the_next_revision(self, tmp_path: Path) -> None:
        rows: Rows = extracts.heats(40)
        write_import(tmp_path / "lake", run(tmp_path / "extract", rows))
        rows[7]["final_C"] = 0.0023

        again = write_import(tmp_path / "lake", run(tmp_path / "extract", rows))

        assert (again.new, again.revised) == (0, 1)
        of_heat = lake.scan(tmp_path / "lake", "heats")[0].filter(pl.col("heat_no") == "T00007").collect()
        assert sorted(of_heat["revision"].to_list()) == [1, 2]
        assert of_heat["heat_uid"].n_unique() == 1


class TestWrongExtract:
    def test_column_that_is_missing_names_near_ones(self, tmp_path: Path) -> None:
        text = extracts.MAPPING.replace("Mn: final_Mn", "Mn: final_Manganese").replace(
            "grade: grade", "grade: steel"
        )

        with pytest.raises(MappingError) as caught:
            run(tmp_path, extracts.heats(5), text)

        assert "2 columns" in str(caught.value)
        assert (
            "heats.chemistry_after.columns.Mn: heats.csv has no column 'final_Manganese'; near names: "
            in str(caught.value)
        )
        assert "final_Mn" in str(caught.value)

    def test_addition_without_assay_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MappingError, match="no assay for 'FeSi75' in `additives`; near names: FeSi"):
            run(tmp_path, extracts.heats(5), extracts.MAPPING.replace("FeSi: kg_FeSi", "FeSi75: kg_FeSi"))

    def test_missing_file_and_wrong_encoding_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(MappingError, match=r"no such file; near names: heats\.csv"):
            run(
                tmp_path / "a",
                extracts.heats(5),
                extracts.MAPPING.replace("file: heats.csv", "file: heat.csv"),
            )
        with pytest.raises(MappingError, match="is not utf-8"):
            run(tmp_path / "b", extracts.heats(40), encoding="cp1251")

    def test_extract_with_a_header_only_imports_nothing(self, tmp_path: Path) -> None:
        mapping = extracts.write(tmp_path, extracts.heats(5))
        header = (tmp_path / "heats.csv").read_text().splitlines()[0]
        (tmp_path / "heats.csv").write_text(header + "\n")

        imported = read_extract(tmp_path, load_mapping(mapping))

        assert imported.heats.height == 0
        assert write_import(tmp_path / "lake", imported).new == 0

    def test_header_that_names_a_column_twice_is_refused(self, tmp_path: Path) -> None:
        mapping = extracts.write(tmp_path, extracts.heats(5))
        text = (tmp_path / "heats.csv").read_text()
        (tmp_path / "heats.csv").write_text(text.replace("kg_FeAl2", "kg_FeAl", 1))

        with pytest.raises(MappingError, match="kg_FeAl twice"):
            read_extract(tmp_path, load_mapping(mapping))


def test_summary_fits_one_screen_and_counts_by_reason(tmp_path: Path) -> None:
    rows: Rows = extracts.heats(120)
    rows[3]["steel_kg"], rows[4]["T_tap"] = 243000, 0
    mapping = load_mapping(extracts.write(tmp_path / "extract", rows))
    imported = read_extract(tmp_path / "extract", mapping)

    text = summary(mapping, imported, write_import(tmp_path / "lake", imported))

    assert "120 rows read, 119 heats taken, 1 rows in quarantine" in text
    assert "1  mass implausible" in text
    assert "1  temperature_c: outside 1500 to 1780" in text
    assert "the extract has no times" in text
    assert "windows derived" in text
    assert len(text.splitlines()) < 50
