"""A published contract may gain what is optional; anything else is named, and stops the change."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from twofold.forge import Forge

SAMPLE = "contracts/plant-events/plant.sample.analysed.v1.schema.json"
SHAPES = "contracts/shapes/shapes.v1.schema.json"
SERVICE = "contracts/model-service/openapi.v1.json"
LAKE = "contracts/lake/heats.v1.delta-schema.json"
Change = Callable[[Any], object]


def treatment(schema: Any) -> Any:
    return schema["$defs"]["treatment"]


GROWTH: dict[str, tuple[str, Change]] = {
    "a property that may be left out": (
        SHAPES,
        lambda s: treatment(s)["properties"].update(crew={"type": "string"}),
    ),
    "a definition": (SHAPES, lambda s: s["$defs"].update(crew={"type": "string"})),
    "another description": (SHAPES, lambda s: s.update(description="the same in other words")),
    "another address": (SERVICE, lambda s: s["paths"].update({"/v1/new": {"get": {"responses": {}}}})),
    "another method": (SERVICE, lambda s: s["paths"]["/v1/model"].update(head={"responses": {}})),
    "a column that may be null": (
        LAKE,
        lambda s: s["fields"].append({"name": "crew", "type": "string", "nullable": True, "metadata": {}}),
    ),
}
BREAKS: dict[str, tuple[str, Change, str]] = {
    "a property removed": (
        SHAPES,
        lambda s: treatment(s)["properties"].pop("station"),
        "/$defs/treatment/properties/station: removed",
    ),
    "a property that must be there": (
        SHAPES,
        lambda s: treatment(s)["required"].append("crew"),
        "/$defs/treatment/required: 'crew' added",
    ),
    "a property that may now be absent": (
        SHAPES,
        lambda s: treatment(s)["required"].remove("station"),
        "/$defs/treatment/required: 'station' removed",
    ),
    "another type": (
        SHAPES,
        lambda s: treatment(s)["properties"]["treatment_no"].update(type="string"),
        "/$defs/treatment/properties/treatment_no/type: was",
    ),
    "a limit": (
        SHAPES,
        lambda s: treatment(s)["properties"]["treatment_no"].update(maximum=3),
        "/$defs/treatment/properties/treatment_no/maximum: added",
    ),
    "an address removed": (SERVICE, lambda s: s["paths"].pop("/v1/model"), "/paths/~1v1~1model: removed"),
    "a column removed": (LAKE, lambda s: s["fields"].pop(0), ": removed"),
    "a column that must be there": (
        LAKE,
        lambda s: s["fields"].append({"name": "crew", "type": "string", "nullable": False, "metadata": {}}),
        "/fields/crew: added, and it cannot be left out",
    ),
}


def edit(forge: Forge, name: str, change: Change) -> None:
    path = forge.clone / name
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=2))


@pytest.mark.parametrize("case", GROWTH)
def test_what_may_be_left_out_may_be_added(forge: Forge, case: str) -> None:
    name, change = GROWTH[case]
    forge.change()
    edit(forge, name, change)

    done = forge.run("ci/contracts-diff", check=False)

    assert (done.returncode, f"grown     {name}" in done.stdout or "description" in case) == (0, True)


@pytest.mark.parametrize("case", BREAKS)
def test_anything_else_is_a_break_and_named_with_its_path(forge: Forge, case: str) -> None:
    name, change, said = BREAKS[case]
    forge.change()
    edit(forge, name, change)

    done = forge.run("ci/contracts-diff", check=False)

    assert done.returncode == 1
    assert f"BROKEN    {name}" in done.stdout
    assert said in done.stdout


def test_a_next_version_beside_the_old_one_is_no_break(forge: Forge) -> None:
    forge.change()
    (forge.clone / SAMPLE.replace(".v1.", ".v2.")).write_text('{"type": "object"}')

    assert forge.run("ci/contracts-diff").returncode == 0


def test_a_version_goes_only_a_release_after_the_next_one_came(forge: Forge) -> None:
    after = SAMPLE.replace(".v1.", ".v2.")
    forge.change()
    (forge.clone / after).write_text('{"type": "object"}')
    forge.commit()
    (forge.clone / SAMPLE).unlink()

    at_once = forge.run("ci/contracts-diff", check=False)
    later = forge.run("ci/contracts-diff", "HEAD", check=False)

    assert at_once.returncode == 1
    assert f"removed   {SAMPLE}: {after} has not been out for a release" in at_once.stdout
    assert later.returncode == 0


def test_the_contracts_of_this_commit_break_nobody(forge: Forge) -> None:
    forge.git("checkout", "--quiet", "--force", "main")
    commits = forge.git("rev-list", "--max-count=2", "HEAD").split()

    # The oldest of the two: in a checkout without history there is one.
    assert forge.run("ci/contracts-diff", commits[-1]).returncode == 0
