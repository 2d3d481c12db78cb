"""What is different from the last heat of the station: why today's answer is not yesterday's."""

from collections.abc import Iterator, Sequence

from model_service.contracts import Additive, Heat, RecentHeat, Remark

_PRICE_SHARE = 0.01
_READINGS = (
    ("oxygen_ppm", "dissolved oxygen", "ppm", 0.15),
    ("temperature_c", "temperature", "C", 0.01),
    ("steel_mass_t", "steel mass", "t", 0.03),
)
"""Field, words, unit, and the share by which it must differ."""


def changes_since(heat: Heat, offers: Sequence[Additive], recent_heats: Sequence[RecentHeat]) -> list[Remark]:
    """Return what changed since the newest of the recent heats of this station, in short sentences; none
    where there is none."""
    same = [recent for recent in recent_heats if recent.treatment.station == heat.treatment.station]
    if not same:
        return []
    last = max(same, key=lambda recent: recent.completed_at)
    return [*_of_heat(heat, last.heat), *_of_offers(offers, last)]


def _of_heat(heat: Heat, last: Heat) -> Iterator[Remark]:
    if heat.grade != last.grade:
        yield _remark("grade_changed", f"grade {heat.grade} after {last.grade}", "$.heat.grade")
    for field, words, unit, share in _READINGS:
        now, before = getattr(heat, field), getattr(last, field)
        if now and before and abs(now - before) > share * abs(before):
            text = f"{words} {now:g} {unit} after {before:g}"
            yield _remark(f"{field}_changed", text, f"$.heat.{field}")


def _of_offers(offers: Sequence[Additive], last: RecentHeat) -> Iterator[Remark]:
    before = {offer.additive: offer for offer in last.additives}
    lots = {(offer.additive, offer.lot) for offer in last.additives}
    for i, offer in enumerate(offers):
        where, then = f"$.additives[{i}]", before.get(offer.additive)
        if then is None:
            yield _remark("additive_new", f"{offer.additive} is offered again", where)
            continue
        if (offer.additive, offer.lot) not in lots:
            yield _remark(
                "lot_changed",
                f"{offer.additive}: lot {offer.lot or 'unnamed'} after {then.lot or 'unnamed'}",
                where,
            )
        now, price = offer.price_per_t, then.price_per_t
        if now.currency == price.currency and abs(now.amount - price.amount) > _PRICE_SHARE * price.amount:
            text = f"{offer.additive}: {now.amount:g} {now.currency}/t after {price.amount:g}"
            yield _remark("price_changed", text, where)
    offered = {offer.additive for offer in offers}
    for name in sorted(before.keys() - offered):
        yield _remark("additive_gone", f"{name} is not offered any more", "$.additives")


def _remark(code: str, text: str, where: str) -> Remark:
    return Remark(code=code, text=text[:500], where=where)
