"""What can go wrong in a demo and is told in a sentence, without a traceback."""


class RunnerError(Exception):
    """Base of the expected errors; the text says what, where and what to do."""


class SettingInvalid(RunnerError):
    """A setting has a value that cannot be."""


class AlreadyRunning(RunnerError):
    """Another demo uses this folder."""


class PortTaken(RunnerError):
    """A port that the demo needs is in use."""


class StepFailed(RunnerError):
    """A command of the preparation ended with an error."""


class ProcessDied(RunnerError):
    """A process that should run on has ended."""


class NotReady(RunnerError):
    """A process did not become ready in time."""


class HeatsMissing(RunnerError):
    """The lake does not hold every completed treatment exactly once."""


class StageMissing(RunnerError):
    """A stage of the loop did not happen."""


class StopAsked(Exception):
    """A person or a supervisor asked the demo to stop (Ctrl-C, SIGTERM)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"asked to stop by signal {signal_number}")
        self.signal_number = signal_number
