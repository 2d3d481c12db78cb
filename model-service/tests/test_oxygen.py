"""The oxygen balance: its laws, and that the linear one is the balance itself around what the heat needs."""

import math

import numpy as np
import pytest
from msgspec.structs import replace

from model_service.oxygen import Debit, Readings, debit, debit_of, elements_of, oxygen_kg_t
from model_service.parameters import OxygenBalance
from model_service.priors import prior_oxygen


def _balance() -> OxygenBalance:
    balance = prior_oxygen("tapping")
    assert balance is not None
    return balance


def _readings(**fields: float) -> Readings:
    names = ("oxygen_ppm", "carbon_pct", "carry_over_kg_t", "feo_pct", "mno_pct")
    return Readings(*(fields.get(name, math.nan) for name in names))


def _row(**pct: float) -> list[float]:
    return [pct.get(e, 0.0) for e in elements_of(_balance())]


def _loss(lost: Debit, added: list[float]) -> np.ndarray:
    result: np.ndarray = np.array(lost.constant_pct) + np.array(lost.share) @ added
    return result


SILICON_KILLED = {"Si": 0.22, "Mn": 0.8, "C": 0.15}


@pytest.mark.parametrize("killed", [{}, {"Al": 0.02}])
def test_the_linear_balance_is_the_balance_and_its_slope(killed: dict[str, float]) -> None:
    readings = _readings(oxygen_ppm=900.0, carry_over_kg_t=6.0)
    added = _row(**SILICON_KILLED, Cr=0.1, V=0.03, Al=0.18 if killed else 0.0)
    here = debit_of(_balance(), readings, added)

    assert _loss(here, added) == pytest.approx(here.usual_pct)
    for p in np.flatnonzero(added):
        step = np.zeros(len(added))
        step[p] = 1e-5
        moved = np.array(debit_of(_balance(), readings, (added + step).tolist()).usual_pct)
        assert moved - here.usual_pct == pytest.approx(1e-5 * np.array(here.share)[:, p], abs=2e-9)


def test_many_heats_as_arrays_are_as_each_heat_in_floats() -> None:
    rng = np.random.default_rng(4)
    needed = rng.uniform(-0.2, 0.8, (40, len(elements_of(_balance())))).clip(0.0)
    needed[0] = 0.0
    readings = rng.uniform([200.0, 0.01, 1.0, 5.0, 1.0], [1400.0, 0.2, 15.0, 30.0, 9.0], (40, 5))
    readings[rng.uniform(size=readings.shape) < 0.3] = np.nan
    for of in (debit, debit_of):
        many = of(_balance(), Readings(*readings.T), list(needed.T))
        for h in range(40):
            one = of(_balance(), Readings(*readings[h].tolist()), needed[h].tolist())
            assert [float(pct[h]) for pct in many.usual_pct] == pytest.approx(one.usual_pct)
            assert [float(pct[h]) for pct in many.constant_pct] == pytest.approx(one.constant_pct)
            for shares, alone in zip(many.share, one.share, strict=True):
                assert [float(np.broadcast_to(s, 40)[h]) for s in shares] == pytest.approx(alone)


def test_what_a_heat_does_not_ask_for_is_not_believed_to_protect() -> None:
    lost = debit(_balance(), _readings(oxygen_ppm=900.0), _row(V=0.04, C=0.2))
    si, v = elements_of(_balance()).index("Si"), elements_of(_balance()).index("V")

    assert lost.share[v][si] == 0.0
    assert _loss(lost, _row(Si=0.2))[v] > -0.02


def test_what_is_burnt_binds_no_more_than_the_oxygen_there_is() -> None:
    readings = _readings(oxygen_ppm=900.0, carry_over_kg_t=6.0)
    lost = debit_of(_balance(), readings, _row(**SILICON_KILLED)).usual_pct
    bound = sum(
        10 * pct / _balance().kg_per_kg[e] for e, pct in zip(elements_of(_balance()), lost, strict=True)
    )

    assert bound <= oxygen_kg_t(_balance(), readings) + 1e-9


def test_more_of_one_protects_the_others_and_is_burnt_itself() -> None:
    share = np.array(debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED)).share)
    off_diagonal = share - np.diag(np.diag(share))

    assert np.all(off_diagonal <= 0)
    assert np.all((np.diag(share) >= 0) & (np.diag(share) < 1))


def test_aluminium_first_leaves_the_others_alone() -> None:
    silicon_killed = debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED)).usual_pct
    killed = debit(_balance(), _readings(oxygen_ppm=900.0), _row(**SILICON_KILLED, Al=0.03)).usual_pct
    si, al = elements_of(_balance()).index("Si"), elements_of(_balance()).index("Al")

    assert killed[si] < 0.25 * silicon_killed[si]
    assert killed[al] > 0.05


def test_carbon_stands_for_oxygen_that_nobody_measured() -> None:
    low, usual, high = (
        oxygen_kg_t(_balance(), _readings(carbon_pct=carbon)) for carbon in (0.03, np.nan, 0.12)
    )

    assert low > usual > high
    assert np.isfinite(oxygen_kg_t(_balance(), Readings(*[math.nan] * 5)))


def test_an_estimate_of_slag_counts_as_far_as_it_is_trusted() -> None:
    usual = _balance().carry_over_kg_t
    much, normal = (_readings(oxygen_ppm=900.0, carry_over_kg_t=slag) for slag in (2 * usual, usual))
    more = [
        float(oxygen_kg_t(balance, much) - oxygen_kg_t(balance, normal))
        for balance in (replace(_balance(), slag_trust=trust) for trust in (1.0, 0.5, 0.0))
    ]

    assert more[0] > 2 * more[1] > 0
    assert more[2] == 0.0
