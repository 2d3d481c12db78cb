"""A bundle on disk: write it, and load it only if every byte and every golden row agrees.

manifest.json  what belongs to it, by checksum; the bundle hash is the SHA-256 of this file's bytes
model.json     `parameters`
trees/*.txt    LightGBM's text models
golden.json    requests and the answers that must be reproduced
release.json   version, run, time: beside the bundle, outside the hash
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from msgspec.structs import asdict

from model_service import __version__
from model_service.contracts import ModelCard, RecommendationRequest, StationCard, TrainingRange
from model_service.documents import decode, pretty
from model_service.errors import BundleRefused, InvalidDocument, MalformedJson, TreesUnavailable
from model_service.golden import differences, make_golden, shifts
from model_service.manifest import (
    FORMAT,
    Golden,
    MadeWith,
    Manifest,
    ManifestFeature,
    ManifestFile,
    ManifestStation,
    Release,
)
from model_service.model import Bundle, make_bundle
from model_service.parameters import Parameters, StationModel, check_parameters

__all__ = [
    "Bundle",
    "load_bundle",
    "make_bundle",
    "model_card",
    "package_sha256",
    "read_manifest",
    "write_bundle",
]

T = TypeVar("T")
_MANIFEST, _PARAMETERS, _GOLDEN, _RELEASE = "manifest.json", "model.json", "golden.json", "release.json"
_TREES, _TREE_SUFFIX = "trees/", ".txt"


def write_bundle(
    path: Path | str,
    parameters: Parameters,
    trees: Mapping[str, str],
    golden_requests: Sequence[RecommendationRequest],
) -> str:
    """Write a bundle into the folder `path` and return its hash; the same content gives the same bytes.

    `trees` maps the names that the parameters use to LightGBM's texts. Raises BundleRefused where the folder
    already holds a bundle, the parameters contradict themselves or a tree is missing or unused, and
    TreesUnavailable where LightGBM does not read one.
    """
    folder = Path(path)
    if (folder / _MANIFEST).exists():
        raise BundleRefused(f"{folder} already holds a bundle; a new or empty folder is needed")
    if not golden_requests:
        raise BundleRefused("a bundle needs at least one golden request")
    _check(_PARAMETERS, parameters)
    bundle = make_bundle(parameters, dict(trees))
    contents = {_PARAMETERS: pretty(parameters), _GOLDEN: pretty(make_golden(bundle, golden_requests))}
    contents |= {f"{_TREES}{name}{_TREE_SUFFIX}": text.encode() for name, text in trees.items()}
    manifest = pretty(_manifest(parameters, contents))
    for name, content in {**contents, _MANIFEST: manifest}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return _sha256(manifest)


def load_bundle(path: Path | str, image_digest: str | None = None) -> Bundle:
    """Load the bundle in the folder `path`.

    Raises BundleRefused, saying which file or golden row and why: no file may be missing or changed, the
    release sidecar, where there is one, must be this bundle's, and every golden row must be reproduced:
    exactly where these sources made it, by what its model predicts where another release did.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    contents = {file.path: _checked(folder, file) for file in manifest.files}
    for name in (_PARAMETERS, _GOLDEN):
        if name not in contents:
            raise BundleRefused(f"{folder / _MANIFEST}: $.files: {name} is not listed")
    parameters = _decode(folder / _PARAMETERS, contents[_PARAMETERS], Parameters)
    _check(str(folder / _PARAMETERS), parameters)
    texts = {
        name.removeprefix(_TREES).removesuffix(_TREE_SUFFIX): content.decode(errors="replace")
        for name, content in contents.items()
        if name.startswith(_TREES)
    }
    bundle_hash = _sha256(_read(folder / _MANIFEST))
    release = _release(folder, bundle_hash)
    try:
        bundle = make_bundle(parameters, texts, bundle_hash, release, image_digest)
    except TreesUnavailable as error:
        raise BundleRefused(f"{folder}: {error}") from error
    golden = _decode(folder / _GOLDEN, contents[_GOLDEN], Golden)
    own = manifest.model_service.source_sha256 == package_sha256()
    different = list(islice((differences if own else shifts)(bundle, golden), 3))
    if different:
        held = f"to {golden.tolerance:g}" if own else "by a model made with other sources"
        raise BundleRefused(f"{folder / _GOLDEN} is not reproduced ({held}): {'; '.join(different)}")
    return bundle


def read_manifest(path: Path | str) -> Manifest:
    """Return the manifest of the bundle in the folder `path`; raises BundleRefused."""
    return _decode(Path(path) / _MANIFEST, _read(Path(path) / _MANIFEST), Manifest)


def model_card(bundle: Bundle) -> ModelCard:
    """Return what is known of a loaded bundle."""
    release = bundle.release
    return ModelCard(
        version=bundle.version,
        bundle_hash=bundle.bundle_hash,
        image_digest=bundle.image_digest,
        model_service_version=__version__,
        run_id=release.run_id if release else None,
        code_commit=release.code_commit if release else None,
        code_dirty=release.code_dirty if release else None,
        data_version=release.data_version if release else None,
        created_at=release.created_at if release else None,
        metrics=release.metrics if release else {},
        stations={name: _station_card(station) for name, station in bundle.parameters.stations.items()},
    )


@cache
def package_sha256() -> str:
    """Return the hash of this package's Python sources: names and bytes, in order of name."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for name, source in sorted(
        (source.relative_to(root).as_posix(), source) for source in root.rglob("*.py")
    ):
        digest.update(name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


def _manifest(parameters: Parameters, contents: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        format=FORMAT,
        model_service=MadeWith(version=__version__, source_sha256=package_sha256()),
        files=[
            ManifestFile(path=name, sha256=_sha256(content), bytes=len(content))
            for name, content in sorted(contents.items())
        ],
        parameters="model.json",
        golden="golden.json",
        stations={
            name: ManifestStation(
                elements=sorted(station.elements),
                features=[ManifestFeature(**asdict(feature)) for feature in station.features],
                heats=station.heats,
            )
            for name, station in parameters.stations.items()
        },
    )


def _checked(folder: Path, file: ManifestFile) -> bytes:
    content = _read(folder / file.path)
    if len(content) != file.bytes or _sha256(content) != file.sha256:
        raise BundleRefused(
            f"{folder / file.path} has {len(content)} bytes with SHA-256 {_sha256(content)}; "
            f"the manifest allows only {file.bytes} bytes with {file.sha256}"
        )
    return content


def _release(folder: Path, bundle_hash: str) -> Release | None:
    path = folder / _RELEASE
    if not path.exists():
        return None
    release = _decode(path, _read(path), Release)
    if release.bundle_hash != bundle_hash:
        raise BundleRefused(
            f"{path}: $.bundle_hash: {release.bundle_hash} is another bundle; this is {bundle_hash}"
        )
    return release


def _station_card(station: StationModel) -> StationCard:
    mass = station.steel_mass_t
    ranges = {"steel_mass_t": TrainingRange(low=mass.low, high=mass.high, unit="t")}
    ranges |= {f.name: TrainingRange(low=f.low, high=f.high, unit=f.unit) for f in station.features}
    return StationCard(elements=sorted(station.elements), training_ranges=ranges, heats=station.heats)


def _check(name: str, parameters: Parameters) -> None:
    faults = check_parameters(parameters)
    if faults:
        first = faults[0]
        raise BundleRefused(f"{name}: {first.where}: {first.what}; allowed: {first.allowed}", faults)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleRefused(f"{path} cannot be read: {error.strerror}") from None


def _decode(path: Path, content: bytes, shape: type[T]) -> T:
    try:
        return decode(content, shape)
    except (MalformedJson, InvalidDocument) as error:
        raise BundleRefused(f"{path}: {error.detail}", error.faults) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
