"""Which jobs run for which change, and no other: software and models have lifecycles of their own."""

import pytest

from twofold.forge import Forge

ALWAYS = {"secrets"}
TESTED = ("check", "test")
BUILT = ("build", "scan")
RELEASED = ("publish", "dev", "stage")
BY_HAND = ("prod", "roll-back")
COMPONENTS = ("backend", "monitoring", "ml-pipeline", "model-service", "plant-simulator", "local-runner")
MODEL = {"model-image:build", "model-image:scan", "model-image:publish", "model-image:shadow"}
MODEL_BY_HAND = {"model-image:live", "model-image:roll-back"}


def of(component: str, *steps: str) -> set[str]:
    return {f"{component}:{step}" for step in steps}


EVERYBODY_TESTED = {job for component in COMPONENTS for job in of(component, *TESTED)}

# What changes -> what runs before it is merged.
CHANGES = {
    "backend/src/backend/settings.py": of("backend", *TESTED, *BUILT) | {"whole", "contracts:expectations"},
    "backend/tests/conftest.py": of("backend", *TESTED) | {"whole"},
    "monitoring/src/monitoring/settings.py": of("monitoring", *TESTED, *BUILT) | {"whole"},
    # Training, evaluation and serving run the same code, so the pipeline follows the Model Service.
    "model-service/src/model_service/settings.py": of("model-service", *TESTED)
    | of("ml-pipeline", *TESTED, *BUILT)
    | {"whole", "contracts:expectations"},
    "ml-pipeline/src/ml_pipeline/steps/train.py": of("ml-pipeline", *TESTED, *BUILT)
    | {"whole", "contracts:expectations"},
    "infra/plant-simulator/src/plant_simulator/cli.py": of("plant-simulator", *TESTED) | {"whole"},
    "infra/local/src/local_runner/front.py": of("local-runner", *TESTED) | {"whole"},
    # What components share as data is tested by all, and no image holds it.
    "contracts/shapes/shapes.v1.schema.json": EVERYBODY_TESTED
    | {"contracts:diff", "contracts:expectations", "whole"},
    "ci/component.mk": EVERYBODY_TESTED | of("infra", *TESTED) | {"whole"},
    # Rules and dashboard are held to the metrics that monitoring tells.
    "infra/observability/rules.yml": of("infra", *TESTED) | of("monitoring", *TESTED) | {"whole"},
    "infra/compose/docker-compose.yml": of("infra", *TESTED) | {"whole"},
    "ci/deploy_compose.py": of("infra", *TESTED) | {"whole"},
    # What every image is made with: those of components again, and no model's.
    "infra/images/make-environment": of("infra", *TESTED)
    | {job for component in ("backend", "monitoring", "ml-pipeline") for job in of(component, *BUILT)}
    | {"whole"},
    "backend/Dockerfile": of("backend", *TESTED, *BUILT) | of("infra", *TESTED) | {"whole"},
    "tests/system/test_demo.py": {"whole"},
    ".gitlab-ci.yml": {"whole"},
    "infra/kubernetes/overlays/prod/kustomization.yaml": of("infra", *TESTED) | {"whole"},
    # A released model's place in the cluster: nobody's image, nobody's deployment.
    "infra/kubernetes/model/overlays/prod/kustomization.yaml": of("infra", *TESTED) | {"whole"},
    "docs/architecture.md": {"docs"},
    "CONTRIBUTING.md": {"docs"},
}


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_runs_what_it_concerns_and_nothing_else(forge: Forge, path: str) -> None:
    forge.change(path)

    assert set(forge.jobs()) == CHANGES[path] | ALWAYS


def test_merged_software_goes_to_production_by_a_person_and_moves_no_model(forge: Forge) -> None:
    forge.change("backend/src/backend/settings.py", branch="main")

    jobs = forge.jobs()

    released = of("backend", *TESTED, *BUILT, *RELEASED, *BY_HAND)
    assert set(jobs) == released | ALWAYS | {"whole", "contracts:expectations", "verify"}
    assert {name for name, when in jobs.items() if when == "manual"} == of("backend", *BY_HAND)


def test_a_registered_model_becomes_an_image_and_touches_no_software(forge: Forge) -> None:
    forge.change(branch="main")

    jobs = forge.jobs(MODEL_VERSION="7")

    assert set(jobs) == MODEL | MODEL_BY_HAND
    assert {name for name, when in jobs.items() if when == "manual"} == MODEL_BY_HAND


def test_a_schedule_verifies_the_whole_and_releases_nothing(forge: Forge) -> None:
    forge.change(branch="main")

    assert set(forge.jobs(CI_PIPELINE_SOURCE="schedule")) == {"verify"}


def test_the_jobs_of_a_merged_change_follow_its_life(forge: Forge) -> None:
    forge.change("monitoring/src/monitoring/settings.py", branch="main")

    steps = [name.removeprefix("monitoring:") for name in forge.jobs() if name.startswith("monitoring:")]

    assert steps == [*TESTED, *BUILT, *RELEASED, *BY_HAND]
