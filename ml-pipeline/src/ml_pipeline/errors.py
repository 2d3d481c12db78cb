"""Expected errors. Each says what is wrong, where, and what is allowed."""


class PipelineError(Exception):
    """An expected error: the command ends with it and its exit code."""

    exit_code = 2


class MappingError(PipelineError):
    """The mapping file, or what it says about the extract, is wrong."""


class ExtractError(PipelineError):
    """The extract or the lake cannot be read as it stands."""


class TooFewHeatsError(PipelineError):
    """There is not enough to learn from."""


class SearchError(PipelineError):
    """Hyper-parameters cannot be searched for."""


class GateError(PipelineError):
    """The candidate is not good enough to be registered."""

    exit_code = 3


class RegistryError(PipelineError):
    """The registry, or what it should hold, cannot be had."""


class VetoError(PipelineError):
    """There is no challenger of that version in shadow to say no to."""


class RepositoryError(PipelineError):
    """git does not tell of the repository that this code stands in."""


class ReproduceError(PipelineError):
    """A version cannot be rebuilt, because a part of its record is missing."""


class NotReproducedError(PipelineError):
    """A version was rebuilt, and the result is another bundle."""

    exit_code = 4


class ImageError(PipelineError):
    """The Model Image cannot be built, or does not answer as its bundle does."""
