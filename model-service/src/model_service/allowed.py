"""Which of the additives on offer a heat may get at all: by its grade, and by the order of deoxidation."""

from collections.abc import Sequence

from model_service.contracts import Additive, Heat, Remark
from model_service.parameters import StationModel

KILLERS, MICROALLOYS = ("Al", "Si"), ("Ti", "B", "Nb", "V", "Zr")
_MAINLY_PCT = 20.0


def allowed_offers(
    station: StationModel, heat: Heat, offers: Sequence[Additive]
) -> tuple[list[Additive], list[Remark]]:
    """Return the offers that may be tipped, in their order, and why others may not.

    Where additions meet oxygen, microalloys are for killed steel only: a heat is killed where its windows ask
    for aluminium or silicon, which then bind the oxygen first.
    """
    kept = [offer for offer in offers if offer.additive not in heat.forbidden_additives]
    if station.oxygen is None or any(
        (window := heat.windows.get(element)) is not None and window.min for element in KILLERS
    ):
        return kept, []
    late = [offer for offer in kept if any(offer.assay.get(e, 0.0) >= _MAINLY_PCT for e in MICROALLOYS)]
    return [offer for offer in kept if offer not in late], [
        Remark(
            code="not_killed",
            where="$.heat.windows",
            text=f"{offer.additive} is for killed steel, and no window asks for aluminium or silicon",
        )
        for offer in late
    ]
