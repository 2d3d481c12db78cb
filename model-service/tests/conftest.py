"""Bundles are made once: they are frozen."""

from pathlib import Path

import pytest
from making import grown_bundle, grown_parameters

from model_service.bundle import load_bundle, write_bundle
from model_service.model import Bundle, make_bundle
from model_service.priors import golden_requests, prior_parameters


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The priors."""
    return make_bundle(prior_parameters(), {})


@pytest.fixture(scope="session")
def grown() -> Bundle:
    """The priors with correction trees."""
    return grown_bundle()


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    """A bundle with trees on disk."""
    folder = tmp_path / "bundle"
    write_bundle(folder, *grown_parameters(), golden_requests())
    return folder


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with trees, loaded from disk."""
    folder = tmp_path_factory.mktemp("loaded") / "bundle"
    write_bundle(folder, *grown_parameters(), golden_requests())
    return load_bundle(folder)
