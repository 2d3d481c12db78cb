"""The oxygen balance: its laws, and that the linear one is the balance itself around what the heat needs."""

import numpy as np
import pytest
from msgspec.structs import replace

from model_service.oxygen import Debit, Readings, debit, debit_of, elements_of, oxygen_kg_t
from model_service.parameters import OxygenBalance
from model_service.priors import prior_oxygen

MISSING = np.array([np.nan])


def _balance() -> OxygenBalance:
    balance = prior_oxygen("tapping")
    assert balance is not None
    return balance


def _readings(**fields: float) -> Readings:
    names = ("oxygen_ppm", "carbon_pct", "carry_over_kg_t", "feo_pct", "mno_pct")
    return Readings(*(np.array([fields.get(name, np.nan)]) for name in names))


def _row(**pct: float) -> np.ndarray:
    return np.array([[pct.get(e, 0.0) for e in elements_of(_balance())]])


def _loss(lost: Debit, added: np.ndarray) -> np.ndarray:
    result: np.ndarray = lost.constant_pct[0] + lost.share[0] @ added[0]
    return result


SILICON_KILLED = {"Si": 0.22, "Mn": 0.8, "C": 0.15}


@pytest.mark.parametrize("killed", [{}, {"Al": 0.02}])
def test_the_linear_balance_is_the_balance_and_its_slope(killed: dict[str, float]) -> None:
    readings = _readings(oxygen_ppm=900.0, carry_over_kg_t=6.0)
    added = _row(**SILICON_KILLED, Cr=0.1, V=0.03, Al=0.18 if killed else 0.0)
    here = debit_of(_balance(), readings, added)

    assert _loss(here, added) == pytest.approx(here.usual_pct[0])
    for p in np.flatnonzero(added[0]):
        step = np.zeros_like(added)
        step[0, p] = 1e-5
        moved = debit_of(_balance(), readings, added + step).usual_pct[0]
        assert moved - here.usual_pct[0] == pytest.approx(1e-5 * here.share[0][:, p], abs=2e-9)


def test_what_a_heat_does_not_ask_for_is_not_believed_to_protect() -> None:
    lost = debit(_balance(), _readings(oxygen_ppm=900.0), _row(V=0.04, C=0.2))
    si, v = elements_of(_balance()).index("Si"), elements_of(_balance()).index("V")

    assert lost.share[0][v, si] == 0.0
    assert _loss(lost, _row(Si=0.2))[v] > -0.02


def test_what_is_burnt_binds_no_more_than_the_oxygen_there_is() -> None:
    readings = _readings(oxygen_ppm=900.0, carry_over_kg_t=6.0)
    lost = debit_of(_balance(), readings, _row(**SILICON_KILLED)).usual_pct[0]
    bound = sum(
        10 * pct / _balance().kg_per_kg[e] for e, pct in zip(elements_of(_balance()), lost, strict=True)
    )

    assert bound <= oxygen_kg_t(_balance(), readings)[0] + 1e-9


def test_more_of_one_protects_the_others_and_is_burnt_itself() -> None:
    share = debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED)).share[0]
    off_diagonal = share - np.diag(np.diag(share))

    assert np.all(off_diagonal <= 0)
    assert np.all((np.diag(share) >= 0) & (np.diag(share) < 1))


def test_aluminium_first_leaves_the_others_alone() -> None:
    silicon_killed = debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED)).usual_pct[0]
    killed = debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED, Al=0.03)).usual_pct[0]
    si, al = elements_of(_balance()).index("Si"), elements_of(_balance()).index("Al")

    assert killed[si] < 0.25 * silicon_killed[si]
    assert killed[al] > 0.05


def test_carbon_stands_for_oxygen_that_nobody_measured() -> None:
    low, usual, high = (
        oxygen_kg_t(_balance(), _readings(carbon_pct=carbon))[0] for carbon in (0.03, np.nan, 0.12)
    )

    assert low > usual > high
    assert np.isfinite(oxygen_kg_t(_balance(), Readings(*[MISSING] * 5)))


def test_an_estimate_of_slag_counts_as_far_as_it_is_trusted() -> None:
    usual = _balance().carry_over_kg_t
    much, normal = (_readings(oxygen_ppm=900.0, carry_over_kg_t=slag) for slag in (2 * usual, usual))
    more = [
        float(oxygen_kg_t(balance, much)[0] - oxygen_kg_t(balance, normal)[0])
        for balance in (replace(_balance(), slag_trust=trust) for trust in (1.0, 0.5, 0.0))
    ]

    assert more[0] > 2 * more[1] > 0
    assert more[2] == 0.0
