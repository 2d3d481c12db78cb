"""One forge for all: each test makes its own change in it."""

import pytest

from twofold.forge import Forge


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.of_this_commit(tmp_path_factory.mktemp("forge"))
