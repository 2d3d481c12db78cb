"""The Kalman filter of one element: by how much its lots are off, and what a sudden change would look like
after what lots have been blamed for.
"""

import math

from monitoring.diagnosis.reference import Memory

CLIPPED_AT = 3.0  # standard deviations: one heat does not make a lot
FORGOTTEN_AFTER = 200  # treatments without a lot

Lot = tuple[str, str | None]
Tipped = list[tuple[Lot, float]]
"""By how many standard deviations the result would be off if the lot brought 100 % more."""
NO_ADDITIVE = ""


def memory_of(station: str) -> Lot:
    """What a station's last heats lost, and the next ones will: followed like a lot that is in every heat."""
    return NO_ADDITIVE, station


def is_memory(lot: Lot) -> bool:
    return lot[0] == NO_ADDITIVE


class Change:
    """From a treatment on everything that is added comes out 100 % more, lot for lot. `blamed` is what the
    filter would hold against each lot by now.
    """

    def __init__(self, since: int) -> None:
        self.since, self.score, self.information = since, 0.0, 0.0
        self.blamed: dict[Lot, float] = {}

    def surprise(self, tipped: Tipped) -> float:
        """What of it the next result would still show."""
        return sum(x * ((not is_memory(lot)) - self.blamed.get(lot, 0.0)) for lot, x in tipped)


class ElementFilter:
    """`changes` are of this element alone, `together` of everything: of the same treatments."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.together: list[Change] = []
        self._lots: list[Lot] = []
        self._mean: list[float] = []
        self._var: list[list[float]] = []
        self._last: dict[Lot, int] = {}
        self._place: dict[Lot, int] = {}

    def may_change(self, row: int, since: int) -> None:
        """A change may begin now; those that began before `since` are not followed any longer."""
        self.changes = [change for change in self.changes if change.since > since] + [Change(row)]
        self.together = [change for change in self.together if change.since > since] + [Change(row)]

    def expected(self, tipped: Tipped) -> float:
        mean = dict(zip(self._lots, self._mean, strict=True))
        return sum(x * mean.get(lot, 0.0) for lot, x in tipped)

    def meet(self, row: int, lot: Lot, sd_rel: float) -> None:
        """Make room for a lot, and forget those that have been used up."""
        if lot not in self._last:
            for n in reversed(range(len(self._lots))):
                if self._last[self._lots[n]] < row - FORGOTTEN_AFTER:
                    self._forget(n)
            for line in self._var:
                line.append(0.0)
            self._lots.append(lot)
            self._mean.append(0.0)
            self._var.append([0.0] * (len(self._lots) - 1) + [sd_rel**2])
        self._last[lot] = row

    def fade(self, row: int, place: int, memory: Lot, of: Memory) -> None:
        """Bring a station's memory to its heat number `place`: some of it is gone, and other came."""
        self.meet(row, memory, of.sd_rel)
        n, left = self._lots.index(memory), of.kept ** (place - self._place.get(memory, place))
        self._place[memory] = place
        self._mean[n] *= left
        for line in self._var:
            line[n] *= left
        self._var[n] = [var * left for var in self._var[n]]
        self._var[n][n] += (1 - left**2) * of.sd_rel**2
        for change in (*self.changes, *self.together):
            change.blamed[memory] = left * change.blamed.get(memory, 0.0)

    def learn(self, tipped: Tipped, error: float, noise_var: float, together: list[float]) -> None:
        """Learn from one error; `together` is what each change of everything would make of it."""
        h = [0.0] * len(self._lots)
        for lot, x in tipped:
            if lot in self._last:
                h[self._lots.index(lot)] += x
        vh = [sum(a * b for a, b in zip(line, h, strict=True)) for line in self._var]
        var = noise_var + sum(a * b for a, b in zip(h, vh, strict=True))
        furthest = CLIPPED_AT * math.sqrt(var)
        error -= sum(a * b for a, b in zip(h, self._mean, strict=True))
        error = min(max(error, -furthest), furthest)
        gains = [one / var for one in vh]
        for n, gain in enumerate(gains):
            self._mean[n] += gain * error
            self._var[n] = [of - gain * other for of, other in zip(self._var[n], vh, strict=True)]
        alone = [change.surprise(tipped) for change in self.changes]
        for changes, surprises in ((self.changes, alone), (self.together, together)):
            for change, surprise in zip(changes, surprises, strict=True):
                change.score += surprise * error / var
                change.information += surprise**2 / var
                for lot, gain in zip(self._lots, gains, strict=True):
                    change.blamed[lot] = change.blamed.get(lot, 0.0) + gain * surprise

    def told(self, lot: Lot, sd_rel: float) -> tuple[float, float, float]:
        """Return the estimate of a lot by its heats alone, its spread among honest lots, and what they tell
        in units of what is known of such lots anyway.
        """
        n = self._lots.index(lot)
        learnt = min(max(1 - self._var[n][n] / sd_rel**2, 1e-9), 1 - 1e-9)
        return self._mean[n] / learnt, sd_rel / math.sqrt(learnt), learnt / (1 - learnt)

    def _forget(self, n: int) -> None:
        del self._last[self._lots[n]]
        self._place.pop(self._lots[n], None)
        for change in (*self.changes, *self.together):
            change.blamed.pop(self._lots[n], None)
        del self._lots[n], self._mean[n], self._var[n]
        for line in self._var:
            del line[n]
