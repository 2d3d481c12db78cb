"""Ivan without Adam: a registered model is built again when nothing is left but what a plant keeps."""

import hashlib
import json

from release.conftest import Place


def test_model_is_reproduced_after_every_cache_and_environment_is_wiped(place: Place) -> None:
    recorded = hashlib.sha256((place.released / "manifest.json").read_bytes()).hexdigest()
    release = json.loads((place.released / "release.json").read_text())
    assert release["bundle_hash"] == recorded
    assert release["code_dirty"] is False
    place.wipe()
    place.make_clone()

    said = place.call("make", "reproduce", "MODEL_VERSION=1")

    assert f"commit {release['code_commit']} checked out" in said
    assert f"reproduce: rebuilt  {recorded}" in said
    assert "version 1 is identical, byte for byte, golden rows included" in said
    assert not (place.folder / "lost" / "lake").exists()
