from pathlib import Path

import pytest

from ml_pipeline import ledger
from ml_pipeline.commands import main
from ml_pipeline.errors import RegistryError
from ml_pipeline.pipeline import Folders


def filled(folder: Path) -> Path:
    path = folder / "ledger.jsonl"
    for version in ("1", "2", "3"):
        ledger.append(path, "champion", version, "smelter", "better", {"figure": 0.5})
    return path


def test_entries_say_what_who_when_why_and_on_what_evidence(tmp_path: Path) -> None:
    last = ledger.entries(filled(tmp_path))[-1]

    assert (last["number"], last["what"], last["version"]) == (3, "champion", "3")
    assert (last["who"], last["why"], last["evidence"]) == ("smelter", "better", {"figure": 0.5})
    assert last["at"].endswith("Z")


@pytest.mark.parametrize("line", [0, 1])
def test_changed_line_is_found(tmp_path: Path, line: int) -> None:
    path = filled(tmp_path)
    lines = path.read_text().splitlines()
    lines[line] = lines[line].replace("better", "cheaper")
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(RegistryError, match=f"line {line + 2} does not follow"):
        ledger.entries(path)
    with pytest.raises(RegistryError, match="does not follow"):
        ledger.append(path, "champion", "4", "smelter", "better", {})


def test_line_taken_out_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")

    with pytest.raises(RegistryError, match="line 2 does not follow"):
        ledger.entries(path)


def test_release_of_the_first_model_is_in_the_ledger(released: Folders) -> None:
    found = ledger.entries(released.ledger)

    assert [(e["what"], e["version"], e["who"]) for e in found] == [
        ("candidate", "1", "tests"),
        ("challenger", "1", "tests"),
        ("champion", "1", "tests"),
    ]
    assert found[0]["why"] == "passed the gate against the cold start"
    assert found[0]["evidence"]["figures"]["tapping.error_ratio_minus_1"] < 0
    assert "by tests: the first model" in ledger.table(found)


def test_what_was_done_with_a_version_elsewhere_is_recorded_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_PIPELINE_WHO", "deployer")
    folders = ("--work", str(tmp_path / "work"), "--artifacts", str(tmp_path))
    said = ("--why", "less Mn off", "--evidence", "target=compose", "slot=blue")
    monkeypatch.setattr("sys.argv", ["ml-pipeline", "record", "live", "2", *folders, *said])

    main()

    (entry,) = ledger.entries(tmp_path / "ledger.jsonl")
    assert (entry["what"], entry["version"], entry["who"], entry["why"]) == (
        *("live", "2"),
        *("deployer", "less Mn off"),
    )
    assert entry["evidence"] == {"target": "compose", "slot": "blue"}
