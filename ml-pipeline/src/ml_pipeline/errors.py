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


class GateError(PipelineError):
    """The candidate is not good enough to be registered."""

    exit_code = 3
