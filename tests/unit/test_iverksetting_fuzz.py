"""Whatever comes as a decision is one, or is refused with 400 or 403: nothing that a sender may write raises."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from kvitt.contracts.iverksetting.decision import CaseDecision, DecisionForm, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms, form_of, read_decision
from kvitt.contracts.iverksetting.rules import broken_rule
from kvitt.disbursement.values import Refusal, Scheme
from support.fuzzed_bodies import fuzzed
from support.iverksetting_bodies import dagpenger, days, last, last_day, old, old_day, previous, tiltakspenger, v2

ONE, TWO = (str(uuid5(NAMESPACE_URL, name)) for name in ("one", "two"))
OLD = [
    old(ONE, [old_day("2023-08-21", "2023-09-01", 1290, ferietillegg="ORDINAER")], after=(TWO, [old_day("2023-08-21")])),
    old(
        ONE,
        vedtaksperioder=[{"fraOgMedDato": "2023-08-21", "periodeType": "FORLENGELSE"}],
        tilbakekreving={
            "tilbakekrevingsvalg": "IGNORER_TILBAKEKREVING",
            "tilbakekrevingMedVarsel": {"varseltekst": "x", "fellesperioder": []},
        },
        brevmottakere=[{"ident": "1", "navn": "x", "mottakerRolle": "VERGE", "identType": "PERSONIDENT"}],
        virkningstidspunkt="2023-01-01",
        vedtakstype="RAMMEVEDTAK",
    ),
]
LAST = [
    last(spans=[last_day("2024-05-06", ferietillegg="ORDINÆR"), last_day("2024-05-07")], after=previous("B0")),
    last(spans=[last_day("2024-05-06", benefit="JOBBKLUBB", barnetillegg=True)], brukersNavKontor={"enhet": "0311", "gjelderFom": None}),
    last(spans=[{**days("2024-05-01", "2024-05-31", rate="MÅNEDLIG"), "brukersNavKontor": "0311"}], iverksettingId="i"),
]
V2 = [
    v2(spans=[dagpenger("2026-05-04", ferietillegg="ORDINÆR"), dagpenger("2026-05-05")], after=previous("B0", "i"), iverksettingId="j"),
    v2(spans=[tiltakspenger("2026-05-04", "2026-05-15", barnetillegg=True)]),
    v2(spans=[days("2026-05-01", "2026-05-31", rate="MÅNEDLIG"), days("2026-06-01", "2026-06-30", rate="MÅNEDLIG")], maksbeløpPerDag=2000),
]


@pytest.mark.parametrize(
    ("form", "bodies", "count"), [(DecisionForm.FIRST, OLD, 3000), (DecisionForm.LAST, LAST, 3000), (DecisionForm.V2, V2, 4000)]
)
def test_nothing_that_is_sent_raises(form: DecisionForm, bodies: list[dict[str, Any]], count: int) -> None:
    taken = 0
    for number, body in enumerate(fuzzed(bodies, count, seed=20260504)):
        generation = [*Generation][number % len(Generation)]
        form_of(body)
        found = read_decision(body, ReadingTerms(form, generation, may_lack_spans=number % 2 == 0))
        if isinstance(found, CaseDecision):
            scheme = found.spans[0].terms.scheme if found.spans else Scheme.AAP
            found = broken_rule(found, scheme, generation) or found
        if isinstance(found, Refusal):
            assert found.status in (400, 403)
            assert found.text.isprintable()
        else:
            assert len(found.digest()) == 32
            taken += 1
    assert 0 < taken < count
