"""What a kilogram does: the predicted effect beside the finite difference of do(Y), pair by pair."""

from typing import Any

import numpy as np

from plant_simulator.catalogue import Catalogue
from plant_simulator.elements import ELEMENTS
from plant_simulator.parameters import Parameters
from plant_simulator.policies.cases import Cases, Outcome, treat, windows_of
from plant_simulator.policies.recommender import Advice

STEP_KG, NEAR = 1.0, 0.2


class Slopes:
    """Sums over heats, per additive and element; only heats in which the additive was tipped and the element
    has a window.
    """

    def __init__(self, plant: Catalogue) -> None:
        shape = (len(plant.additives), len(ELEMENTS))
        self._plant, self._brought_kg = plant, np.zeros(shape)
        self._heats, self._near, self._predicted, self._true = (np.zeros(shape) for _ in range(4))

    def add(self, figures: Parameters, cases: Cases, outcome: Outcome, advice: Advice) -> None:
        """More heats, each around what fell in it."""
        low, high = windows_of(self._plant, cases)
        wanted = ~(np.isnan(low) & np.isnan(high)) & ~np.isnan(advice.predicted_pct)
        now = outcome.results.chemistry_pct
        self._brought_kg += np.einsum("na,nae->ae", outcome.tipped_kg, cases.observed.certificate_pct) / 100
        for j in range(len(self._plant.additives)):
            of = (outcome.tipped_kg[:, j] > 0)[:, None] & wanted
            more = outcome.tipped_kg.copy()
            more[:, j] += STEP_KG
            true = (treat(self._plant, figures, cases.hidden, more).chemistry_pct - now) / STEP_KG
            said = advice.slope[:, j]
            self._heats[j] += of.sum(axis=0)
            self._true[j] += np.where(of, true, 0.0).sum(axis=0)
            self._predicted[j] += np.where(of, said, 0.0).sum(axis=0)
            self._near[j] += (of & (np.abs(said - true) <= NEAR * np.abs(true))).sum(axis=0)

    def found(self) -> list[dict[str, Any]]:
        """Per pair: heats, mean effects in wt % per kg, their ratio, the share of heats within 20 %, and
        which share of all that was added of the element the additive brought.
        """
        of_element = np.maximum(self._brought_kg.sum(axis=0), 1e-9)
        return [
            {
                "additive": additive,
                "element": element,
                "heats": int(n),
                "share_of_element": float(self._brought_kg[j, e] / of_element[e]),
                "predicted_pct_per_kg": float(self._predicted[j, e] / n),
                "true_pct_per_kg": float(self._true[j, e] / n),
                "ratio": float(self._predicted[j, e] / self._true[j, e]),
                "within_20_pct": float(self._near[j, e] / n),
            }
            for j, additive in enumerate(self._plant.additive_names)
            for e, element in enumerate(ELEMENTS)
            if (n := self._heats[j, e]) and self._brought_kg[j, e] > 0
        ]
