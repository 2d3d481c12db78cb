"""A bundle on disk: written the same, loaded only when everything agrees."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from making import alloyed, grown_parameters
from msgspec.structs import replace
from schemas import load, validate

from model_service.bundle import load_bundle, package_sha256, write_bundle
from model_service.errors import BundleRefused
from model_service.parameters import Feature
from model_service.priors import golden_requests, prior_parameters
from model_service.recommendation import recommend

REPLAY = """
import sys
from model_service.bundle import load_bundle
from model_service.documents import decode, encode
from model_service.contracts import RecommendationRequest
from model_service.recommendation import recommend
bundle = load_bundle(sys.argv[1])
sys.stdout.buffer.write(encode(recommend(bundle, decode(sys.stdin.buffer.read(), RecommendationRequest))))
"""


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    parameters, trees = grown_parameters()

    hashes = [write_bundle(tmp_path / name, parameters, trees, golden_requests()) for name in ("a", "b")]

    assert hashes[0] == hashes[1]
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_files_agree_with_their_schemas(bundle_folder: Path) -> None:
    validate(load(bundle_folder / "manifest.json"), "bundle/manifest.v1.schema.json")
    golden = load(bundle_folder / "golden.json")
    assert len(golden["rows"]) == 3
    assert all("model" not in row["response"] for row in golden["rows"])


def test_a_loaded_bundle_knows_its_hash_and_release(bundle_folder: Path) -> None:
    first = load_bundle(bundle_folder)
    assert first.version == f"unreleased-{first.bundle_hash[:12]}"
    _release(bundle_folder, first.bundle_hash)

    released = load_bundle(bundle_folder, image_digest="sha256:1")

    assert released.bundle_hash == first.bundle_hash
    assert (released.identity.version, released.identity.image_digest) == ("7", "sha256:1")


def test_another_process_answers_the_same_bytes(bundle_folder: Path) -> None:
    from model_service.documents import encode

    request = alloyed()
    here = encode(recommend(load_bundle(bundle_folder), request))

    there = subprocess.run(
        [sys.executable, "-c", REPLAY, str(bundle_folder)],
        input=encode(request),
        capture_output=True,
        check=True,
    ).stdout

    assert there == here


def _release(folder: Path, bundle_hash: str) -> None:
    release = {
        "version": "7",
        "created_at": "2026-01-01T00:00:00Z",
        "bundle_hash": bundle_hash,
        "metrics": {},
    }
    (folder / "release.json").write_text(json.dumps(release))


def _edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return edit


def _rewrite_golden(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the first golden answer and forge its checksum: only the replay can tell."""

    def rewrite(folder: Path) -> None:
        golden = json.loads((folder / "golden.json").read_bytes())
        change(golden["rows"][0]["response"])
        body = json.dumps(golden).encode()
        (folder / "golden.json").write_bytes(body)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        for file in manifest["files"]:
            if file["path"] == "golden.json":
                file.update(sha256=hashlib.sha256(body).hexdigest(), bytes=len(body))
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return rewrite


def _more(factor: float, *path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(answer: Any) -> None:
        for step in path[:-1]:
            answer = answer[step]
        answer[path[-1]] *= factor

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json cannot be read"),
        (lambda folder: (folder / "model.json").unlink(), "model.json cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json: The body is not JSON"),
        (_edit("model.json", "0.9", "0.8"), "model.json has"),
        (_edit("trees/tapping.Mn.recovery.txt", "num_leaves", "num_leavez"), "tapping.Mn.recovery.txt has"),
        (_edit("manifest.json", "steel-additive-bundle/v1", "other/v9"), r"\$\.format"),
        (_edit("manifest.json", '"trees/tapping.Mn', '"../tapping.Mn'), r"\$\.files\[2\]\.path"),
        (lambda folder: _release(folder, "0" * 64), "is another bundle"),
        (
            _rewrite_golden(lambda answer: answer.update(status="abstained")),
            r"is not reproduced.*\$\.rows\[0\]\.response\.status",
        ),
        (_rewrite_golden(_more(1.00001, "additions", 0, "added_kg")), r"additions\[0\]\.added_kg"),
        (_rewrite_golden(_more(1.00001, "elements", "Mn", "predicted_pct")), r"elements\.Mn\.predicted_pct"),
        (_rewrite_golden(_more(1.00001, "cost", "amount")), r"cost\.amount"),
        (_rewrite_golden(lambda answer: answer["additions"].pop()), r"additions: expected"),
    ],
)
def test_a_damaged_bundle_is_refused(bundle_folder: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(bundle_folder)

    with pytest.raises(BundleRefused, match=said):
        load_bundle(bundle_folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer["limits"].clear(),
        lambda answer: answer["recoveries"]["Mn"]["reasons"].clear(),
        lambda answer: answer["elements"]["Mn"].pop("slope_pct_per_kg"),
    ],
)
def test_other_duals_other_words_and_more_to_say_are_no_other_answer(
    bundle_folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    _rewrite_golden(change)(bundle_folder)

    assert load_bundle(bundle_folder).parameters.stations


def _other_sources(folder: Path) -> None:
    """The same bundle as another release of this package would have made it."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["model_service"]["source_sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_another_releases_bundle_is_held_to_what_its_model_predicts(bundle_folder: Path) -> None:
    _rewrite_golden(_more(1.5, "cost", "amount"))(bundle_folder)
    _rewrite_golden(lambda answer: answer["handbook"]["additions"].clear())(bundle_folder)
    _other_sources(bundle_folder)

    assert load_bundle(bundle_folder).parameters.stations


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_more(1.05, "elements", "Mn", "predicted_pct"), r"elements\.Mn\.predicted_pct: expected"),
        (_more(1.5, "additions", 0, "added_kg"), "by a model made with other sources.*predicted_pct"),
        (lambda answer: answer["elements"].update(Xx=answer["elements"]["Mn"]), r"\.Xx\..*found None"),
        (lambda answer: answer.update(status="abstained"), "status: expected 'abstained'"),
    ],
)
def test_another_releases_bundle_that_means_something_else_here_is_refused(
    bundle_folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    _rewrite_golden(change)(bundle_folder)
    _other_sources(bundle_folder)

    with pytest.raises(BundleRefused, match=said):
        load_bundle(bundle_folder)


def test_a_folder_that_holds_a_bundle_is_not_overwritten(bundle_folder: Path) -> None:
    with pytest.raises(BundleRefused, match="already holds a bundle"):
        write_bundle(bundle_folder, prior_parameters(), {}, golden_requests())


def test_trees_and_parameters_must_name_each_other(tmp_path: Path) -> None:
    parameters, trees = grown_parameters()

    with pytest.raises(
        BundleRefused, match=r"trees missing: \['tapping.Mn.recovery', 'tapping.Si.recovery'\]"
    ):
        write_bundle(tmp_path, parameters, {}, golden_requests())
    with pytest.raises(BundleRefused, match="no element uses: "):
        write_bundle(tmp_path, prior_parameters(), trees, golden_requests())


def test_parameters_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    parameters = prior_parameters()
    upside_down = [Feature(name="oxygen_ppm", unit="ppm", low=900.0, high=100.0, default=500.0)]
    tapping = replace(parameters.stations["tapping"], features=upside_down)

    with pytest.raises(BundleRefused, match="low <= default <= high"):
        write_bundle(tmp_path, replace(parameters, stations={"tapping": tapping}), {}, golden_requests())


def test_the_manifest_names_the_sources_that_made_it(bundle_folder: Path) -> None:
    assert load(bundle_folder / "manifest.json")["model_service"]["source_sha256"] == package_sha256()
