"""What can go wrong by somebody's choice: each error says what, where and what is allowed."""


class SimulatorError(Exception):
    """An expected failure: shown as one line, without a traceback."""


class BadSettingError(SimulatorError):
    """A setting, a parameter or a line of a plant's data file that cannot be."""

    def __init__(self, what: str, where: str, allowed: str) -> None:
        super().__init__(f"{what} at {where}; allowed: {allowed}")


class BackendRefusedError(SimulatorError):
    """The backend answered that a request is wrong: asking again would not help."""

    def __init__(self, status: int, url: str, problem: str) -> None:
        super().__init__(f"{url} answered {status}: {problem}")
        self.status = status


class BackendAwayError(SimulatorError):
    """The backend could not be reached, or failed, for as long as the plant waits."""
