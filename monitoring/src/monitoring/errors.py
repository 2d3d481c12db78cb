"""Expected errors: each says what is wrong, where, and what is allowed."""


class MonitoringError(Exception):
    """An error that a person can act upon; HTTP renders it as problem details with `status`."""

    status = 500
    title = "Monitoring failed"

    def __init_subclass__(cls, *, title: str, status: int = 500) -> None:
        cls.title, cls.status = title, status

    def __init__(self, what: str, *, where: str, allowed: str) -> None:
        super().__init__(f"{where}: {what}; allowed: {allowed}")
        self.what = what
        self.where = where
        self.allowed = allowed


class RefusedMessageError(MonitoringError, title="Message refused"):
    """A message on the bus that is no valid event; it is kept aside and the rest goes on."""


class UnknownTreatmentError(MonitoringError, title="No such treatment", status=404):
    """No row of this treatment is in the lake."""


class NothingToReportError(MonitoringError, title="Nothing to report", status=404):
    """No heat is in what a report was asked for."""


class UnreachableModelServiceError(MonitoringError, title="Model Service cannot be reached"):
    """The Model Service does not answer."""


class UnknownAlarmError(MonitoringError, title="No such alarm", status=404):
    """No alarm has this id."""


class RefusedFormError(MonitoringError, title="Form refused", status=422):
    """A form that was sent cannot be taken."""


class NotBetterError(MonitoringError, title="Not found better", status=409):
    """A model that was not found better in shadow is not to be promoted from here."""


class UnreadableLakeError(MonitoringError, title="Lake cannot be read", status=503):
    """The lake is there but cannot be read, or holds a table of another schema."""


class LakeBeingReadError(MonitoringError, title="Lake is being read", status=503):
    """A large lake is read for the first time since the start, which takes a minute for a million heats."""


class UnreadableFileError(MonitoringError, title="File cannot be read"):
    """A file that was named to be read is not there or cannot be read."""


class PositionMovedError(MonitoringError, title="Position moved"):
    """Somebody else has committed a position of the same stream: read it again and go on from there."""
