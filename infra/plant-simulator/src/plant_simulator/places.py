"""YAML that remembers the line of each of its maps' keys, so that what is refused can be found."""

from typing import Any

import yaml

from plant_simulator.errors import BadSettingError


class Placed(dict[str, Any]):
    """A map of a YAML file; `lines` has the line of each key, `line` its own."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        """Where a key stands; the map's own line where it is missing."""
        return self.lines.get(key, self.line)


def read(text: str, name: str) -> Any:
    """The document, its maps as `Placed`. Raises BadSettingError where it is no YAML."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (derived from the safe loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise BadSettingError(
            f"no YAML ({getattr(error, 'problem', error)})", where, "a YAML document"
        ) from None


class _Loader(yaml.SafeLoader):
    """The safe loader; only maps are built otherwise."""


def _placed(loader: _Loader, node: yaml.MappingNode) -> Any:
    found = Placed(node.start_mark.line + 1)
    yield found
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        found.lines[key] = key_node.start_mark.line + 1
        found[key] = loader.construct_object(value_node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _placed)
