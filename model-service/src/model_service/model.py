"""A loaded model: what the pure core needs, and nothing of files."""

from dataclasses import dataclass
from functools import cached_property

from model_service.contracts import ModelIdentity
from model_service.errors import BundleRefused
from model_service.manifest import Release
from model_service.parameters import Parameters
from model_service.trees import Trees

UNHASHED = "0" * 64


@dataclass(frozen=True, eq=False)
class Bundle:
    """Parameters and trees, with the hash that identifies them and the release sidecar where there is one.

    One object is equal to itself alone.
    """

    parameters: Parameters
    trees: Trees
    bundle_hash: str = UNHASHED
    release: Release | None = None
    image_digest: str | None = None

    @property
    def version(self) -> str:
        return self.release.version if self.release else f"unreleased-{self.bundle_hash[:12]}"

    @cached_property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            version=self.version, bundle_hash=self.bundle_hash, image_digest=self.image_digest
        )


def make_bundle(
    parameters: Parameters,
    tree_texts: dict[str, str],
    bundle_hash: str = UNHASHED,
    release: Release | None = None,
    image_digest: str | None = None,
) -> Bundle:
    """Return a bundle in memory; `tree_texts` must hold exactly the trees that the parameters name.

    Raises BundleRefused where it does not, TreesUnavailable where LightGBM does not read one.
    """
    columns = {
        tree: len(station.features)
        for station in parameters.stations.values()
        for element in station.elements.values()
        for tree in (element.recovery_tree, element.offset_tree)
        if tree is not None
    }
    if columns.keys() != tree_texts.keys():
        missing, unused = (
            sorted(columns.keys() - tree_texts.keys()),
            sorted(tree_texts.keys() - columns.keys()),
        )
        raise BundleRefused(
            f"trees missing: {missing or 'none'}; trees that no element uses: {unused or 'none'}"
        )
    return Bundle(parameters, Trees(tree_texts, columns), bundle_hash, release, image_digest)
