"""From a row of the lake to what the Model Service is asked: the same shapes, the same core."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from model_service.contracts import (
    Addition,
    Additive,
    Analysis,
    Below,
    HandbookEntry,
    Heat,
    PredictionRequest,
    PricePerT,
    RecentHeat,
    RecommendationRequest,
    Slag,
    Treatment,
    Window,
)

Row = Mapping[str, Any]
RECENT_HEATS = 30


def recommendation_request(
    row: Row, recent: Sequence[Row], entry: HandbookEntry | None = None
) -> RecommendationRequest:
    """Ask for additions to a heat; `recent`: earlier rows of its station, any order."""
    return RecommendationRequest(
        heat=heat(row), additives=offers(row), recent_heats=recent_heats(row, recent), handbook_entry=entry
    )


def prediction_request(row: Row, recent: Sequence[Row]) -> PredictionRequest:
    """Ask for the chemistry after what was really added."""
    return PredictionRequest(
        heat=heat(row),
        additives=assayed(row),
        additions=additions(row),
        recent_heats=recent_heats(row, recent),
    )


def recent_heats(row: Row, earlier: Sequence[Row]) -> list[RecentHeat]:
    """The last heats of the row's station that were complete when it was registered, newest last."""
    known = [
        r for r in earlier if r["station"] == row["station"] and r["completed_at"] <= row["registered_at"]
    ]
    known.sort(key=lambda r: r["completed_at"])
    return [
        RecentHeat(
            treatment=treatment(r),
            completed_at=instant(r["completed_at"]),
            heat=heat(r),
            additives=assayed(r),
            additions=additions(r),
            chemistry_after=final_chemistry(r),
        )
        for r in known[-RECENT_HEATS:]
    ]


def treatment(row: Row) -> Treatment:
    return Treatment(
        plant_id=row["plant_id"],
        heat_uid=row["heat_uid"],
        station=row["station"],
        treatment_no=row["treatment_no"],
    )


def heat(row: Row) -> Heat:
    """X of a row."""
    return Heat(
        treatment=treatment(row),
        heat_no=row["heat_no"],
        revision=row["revision"],
        registered_at=instant(row["registered_at"]),
        available_at=instant(row["registered_at"]),  # the row's own is that of its result
        grade=row["grade"],
        windows={
            w["element"]: Window(min=w["min_pct"], aim=w["aim_pct"], max=w["max_pct"]) for w in row["windows"]
        },
        chemistry={a["element"]: analysis(a) for a in row["chemistry"]},
        steel_mass_t=row["steel_mass_t"],
        temperature_c=row["temperature_c"],
        oxygen_ppm=row["oxygen_ppm"],
        slag=Slag(
            carry_over_kg_t=row["slag_carry_over_kg_t"], oxides={a["oxide"]: analysis(a) for a in row["slag"]}
        ),
        features={f["name"]: f["value"] for f in row["features"]},
    )


def offers(row: Row) -> list[Additive]:
    """What may be recommended: it has a price, and its largest amount is not 0."""
    return [
        a
        for a, r in zip(assayed(row), row["additives"], strict=True)
        if r["price_per_t"] is not None and r["max_kg"] != 0
    ]


def assayed(row: Row) -> list[Additive]:
    """Every additive of the row, for its assay; where a price is missing, 0 stands and nobody may buy at
    it."""
    return [
        Additive(
            additive=a["additive"],
            lot=a["lot"],
            assay={e["element"]: e["pct"] for e in a["assay"]},
            price_per_t=PricePerT(
                amount=a["price_per_t"] or 0.0,
                currency=a["currency"] or row["currency"] or "XXX",
                valid_from=instant(a["price_valid_from"] or row["registered_at"]),
            ),
            increment_kg=a["increment_kg"] or 1.0,
            stock_kg=a["stock_kg"],
            min_kg=a["min_kg"] or 0.0,
            max_kg=a["max_kg"],
            metallic_yield=(
                metallic_yield(len(a["assay"])) if a["metallic_yield"] is None else a["metallic_yield"]
            ),
            chill_c_per_kg_t=a["chill_c_per_kg_t"],
            available_at=instant(row["registered_at"]),
        )
        for a in row["additives"]
    ]


def metallic_yield(elements: int) -> float:
    """Where the lake does not say: what holds no element is taken as slag former, all else as metal."""
    return 1.0 if elements else 0.0


def additions(row: Row) -> list[Addition]:
    """What was tipped: weighed, or where nothing was weighed, decided. Summed per additive and lot."""
    sums: dict[tuple[str, str | None], float] = {}
    for r in row["weighed"] or row["decided"]:
        key = (r["additive"], r["lot"])
        sums[key] = sums.get(key, 0.0) + r["added_kg"]
    return [Addition(additive=name, lot=lot, added_kg=kg) for (name, lot), kg in sums.items()]


def final_chemistry(row: Row) -> dict[str, Analysis]:
    """X': the newest final sample in its latest revision."""
    finals = [s for s in row["samples"] if s["is_final"]]
    if not finals:
        return {}
    newest = max(finals, key=lambda s: (s["sampled_at"], s["revision"]))
    return {a["element"]: analysis(a) for a in newest["chemistry"]}


def analysis(record: Row) -> Analysis:
    return Below(below=record["below_pct"]) if record["below_pct"] is not None else record["pct"]


def instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
