"""One screen that tells what an import took, kept aside and doubted."""

from ml_pipeline.importing.extract_import import Imported, Written
from ml_pipeline.importing.mapping import Mapping


def summary(mapping: Mapping, imported: Imported, written: Written) -> str:
    """Text for a person: counts by reason, doubtful fields, additives, windows."""
    heats = imported.heats
    lines = [
        f"{mapping.plant_id} / {mapping.station}: {imported.read} rows read, {heats.height} heats "
        f"taken, {imported.quarantine.height} rows in quarantine",
        f"lake: {written.new} heats new, {written.revised} revised, "
        f"{heats.height - written.new - written.revised} known already; "
        f"{written.quarantined} rows newly quarantined; heats table at version {written.version}",
    ]
    lines += _part(
        "rows in quarantine, by reason", [f"{n:6d}  {reason}" for reason, n in imported.reasons.most_common()]
    )
    flaws = [f"{n:6d}  {field}: {reason}" for (field, reason), n in imported.flaws.most_common()]
    lines += _part("readings taken as missing or below detection (their rows stay)", flaws)
    lines += _part("additives", [f"{name}: {note}" for name, note in imported.additives])
    lines += _part(
        "windows derived from the grade's own results",
        [f"{grade} ({n} heats)" for grade, n in imported.derived_windows.items()],
    )
    lines += _part(
        "grades without windows", [f"{grade} ({n} heats)" for grade, n in imported.without_windows.items()]
    )
    lines += _part("note", imported.notes)
    return "\n".join(lines)


def _part(title: str, lines: list[str], most: int = 24) -> list[str]:
    if not lines:
        return []
    more = [f"  ... and {len(lines) - most} more"] if len(lines) > most else []
    return [f"{title}:", *(f"  {line}" for line in lines[:most]), *more]
