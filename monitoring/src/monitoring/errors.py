"""Expected errors: each says what is wrong, where, and what is allowed."""


class MonitoringError(Exception):
    """An error that a person can act upon; HTTP renders it as problem details with `status`."""

    status = 500
    title = "Monitoring failed"

    def __init__(self, what: str, *, where: str, allowed: str) -> None:
        super().__init__(f"{where}: {what}; allowed: {allowed}")
        self.what = what
        self.where = where
        self.allowed = allowed


class RefusedMessageError(MonitoringError):
    """A message on the bus that is no valid event; it is kept aside and the rest goes on."""

    title = "Message refused"


class UnknownTreatmentError(MonitoringError):
    """No row of this treatment is in the lake."""

    status = 404
    title = "No such treatment"


class NothingToReportError(MonitoringError):
    """No heat is in what a report was asked for."""

    status = 404
    title = "Nothing to report"


class UnreachableModelServiceError(MonitoringError):
    """The Model Service does not answer."""

    title = "Model Service cannot be reached"


class UnknownAlarmError(MonitoringError):
    """No alarm has this id."""

    status = 404
    title = "No such alarm"


class RefusedFormError(MonitoringError):
    """A form that was sent cannot be taken."""

    status = 422
    title = "Form refused"


class NotBetterError(MonitoringError):
    """A model that was not found better in shadow is not to be promoted from here."""

    status = 409
    title = "Not found better"


class UnreadableLakeError(MonitoringError):
    """The lake is there but cannot be read, or holds a table of another schema."""

    status = 503
    title = "Lake cannot be read"


class UnreadableFileError(MonitoringError):
    """A file that was named to be read is not there or cannot be read."""

    title = "File cannot be read"


class PositionMovedError(MonitoringError):
    """Somebody else has committed a position of the same stream: read it again and go on from there."""

    title = "Position moved"
