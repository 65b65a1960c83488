"""The answer to a simulation as it is on the wire: levels, texts padded with blanks, members that nobody reads (helved §4.8)."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct

from kvitt.rails.oppdrag.emulator.groups import (
    ADJUSTMENT_ACCOUNT,
    COUNTER_ACCOUNT,
    DEDUCTION_ACCOUNT,
    PAY_ACCOUNT,
    RECOVERY_ACCOUNTS,
    TAX_ACCOUNT,
    account_codes,
    group_of,
)
from kvitt.rails.oppdrag.emulator.habits import AnswerForm
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from kvitt.rails.oppdrag.emulator.reckoning import RowType, RunPeriod, RunRow
from kvitt.rails.oppdrag.emulator.simulation.compute import SimulatedCase
from kvitt.rails.oppdrag.emulator.simulation.faults import enveloped
from kvitt.rails.oppdrag.emulator.simulation.request import SERVICE, SimulationQuestion

_COMPUTED: Final = "http://nav.no/system/os/entiteter/beregningSkjema"
_MOST_PERIODS: Final = 999
_PERSON_NAME, _EMPLOYER_NAME = "NORDMANN KARI", "BEDRIFT AS"
_OFFICE = "8020"

_TYPE_TEXTS: Final = {
    RowType.PAY: "YTELSE",
    RowType.RECOVERY: "FEIL/JUSTERING",
    RowType.COUNTER: "MOTPOSTERING",
    RowType.TAX: "FORSKUDDSSKATT",
    RowType.DEDUCTION: "KREDITORTREKK",
}


class _PeriodOfCase(Struct, frozen=True):
    """A period of a case, as the answer sorts them."""

    case: SimulatedCase
    period: RunPeriod


class _Writer:
    """Writes one answer. `pads`: texts as long as the rail's fields are."""

    def __init__(self, asked: SimulationQuestion, pads: bool) -> None:
        self._asked, self._pads = asked, pads
        self._levels: dict[tuple[CaseAtRail, str, date], int] = {}

    def simulation(self, found: Sequence[SimulatedCase], today: date) -> str:
        """The simulation with its periods, in order of their days."""
        by_days: defaultdict[tuple[date, date], list[_PeriodOfCase]] = defaultdict(list)
        for each in found:
            for period in each.periods:
                by_days[period.first, period.last].append(_PeriodOfCase(each, period))
        spans = sorted(by_days)[:_MOST_PERIODS]
        total = sum(level.period.payout for span in spans for level in by_days[span])
        return self.head(today, total) + "".join(self._period(span, by_days[span]) for span in spans) + "</simulering>"

    def head(self, today: date, total: int) -> str:
        """The start of a simulation."""
        order = self._asked.order
        return (
            f"<simulering><gjelderId>{order.person}</gjelderId><gjelderNavn>{self._text(_PERSON_NAME, 30)}</gjelderNavn>"
            f"<datoBeregnet>{today}</datoBeregnet><kodeFaggruppe>{group_of(order.case.area)}</kodeFaggruppe><belop>{_amount(total)}</belop>"
        )

    def _period(self, span: tuple[date, date], levels: Iterable[_PeriodOfCase]) -> str:
        return (
            f'<beregningsPeriode xmlns="{_COMPUTED}"><periodeFom xmlns="">{span[0]}</periodeFom><periodeTom xmlns="">{span[1]}</periodeTom>'
            + "".join(self._level(each.case, each.period) for each in levels)
            + "</beregningsPeriode>"
        )

    def _level(self, found: SimulatedCase, period: RunPeriod) -> str:
        """A case's part of a period. Its number is used again for the same case and due date."""
        case = found.case
        number = self._levels.setdefault((case, period.payee, period.run), len(self._levels) + 1)
        recovers = any(row.row_type is RowType.RECOVERY for row in period.rows)
        members = (
            ("kodeFagomraade", self._text(case.area, 8)),
            ("stoppNivaaId", str(number)),
            ("behandlendeEnhet", _OFFICE),
            ("oppdragsId", str(zlib.crc32(f"{case.area} {case.case_id}".encode()))),
            ("fagsystemId", self._text(case.case_id, 30)),
            ("kid", self._text("", 26)),
            ("utbetalesTilId", escape(period.payee)),
            ("utbetalesTilNavn", self._text(_EMPLOYER_NAME if _is_organisation(period.payee) else _PERSON_NAME, 30)),
            ("bilagsType", "U"),
            ("forfall", str(period.run)),
            ("feilkonto", str(recovers).lower()),
        )
        rows = "".join(self._row(found, period, row) for row in period.rows)
        return f"<beregningStoppnivaa>{_leaves(members)}{rows}</beregningStoppnivaa>"

    def _row(self, found: SimulatedCase, period: RunPeriod, row: RunRow) -> str:
        area = found.case.area
        is_new = bool(row.line_id)
        members = (
            ("faktiskFom", str(period.first)),
            ("faktiskTom", str(row.until or period.last)),
            ("kontoStreng", self._text(_account(row, area), 19)),
            ("behandlingskode", "2" if row.rate_code and row.row_type is RowType.PAY else "0"),
            ("belop", _amount(row.amount)),
            ("trekkVedtakId", "11012345" if row.row_type in (RowType.TAX, RowType.DEDUCTION) else "0"),
            ("stonadId", self._text("", 10)),
            ("korrigering", "J" if row.class_code == account_codes(area).recovery else self._text("", 1)),
            ("tilbakeforing", str(row.is_reversal).lower()),
            ("linjeId", str(found.line_numbers.get(row.line_id, 0))),
            ("sats", _amount(row.rate)),
            ("typeSats", self._text(row.rate_code, 4)),
            ("antallSats", _amount(row.count)),
            ("saksbehId", self._text(self._asked.caseworker if is_new else "", 8)),
            ("uforeGrad", str(row.grade or 0)),
            ("kravhaverId", self._text("", 11)),
            ("delytelseId", self._text(row.line_id, 30)),
            ("bostedsenhet", _OFFICE),
            ("skykldnerId", self._text("", 11)),
            ("klassekode", self._text(row.class_code, 20)),
            ("klasseKodeBeskrivelse", self._text(f"Klassekode {row.class_code}", 50)),
            ("typeKlasse", row.row_type.value),
            ("typeKlasseBeskrivelse", self._text(_TYPE_TEXTS[row.row_type], 50)),
            ("refunderesOrgNr", period.payee if _is_organisation(period.payee) else self._text("", 11)),
        )
        return f"<beregningStoppnivaaDetaljer>{_leaves(members)}</beregningStoppnivaaDetaljer>"

    def _text(self, text: str, length: int) -> str:
        return escape(text.ljust(length) if self._pads else text)


def _leaves(members: Iterable[tuple[str, str]]) -> str:
    return "".join(f'<{name} xmlns="">{text}</{name}>' for name, text in members)


def _amount(kroner: int) -> str:
    return f"{kroner}.00"


def _is_organisation(payee: str) -> bool:
    return payee.startswith("00")


def _account(row: RunRow, area: str) -> str:
    if row.row_type is RowType.RECOVERY:
        return RECOVERY_ACCOUNTS[group_of(area)] if row.class_code == account_codes(area).recovery else ADJUSTMENT_ACCOUNT
    accounts: Mapping[RowType, str] = {
        RowType.PAY: PAY_ACCOUNT,
        RowType.COUNTER: COUNTER_ACCOUNT,
        RowType.TAX: TAX_ACCOUNT,
        RowType.DEDUCTION: DEDUCTION_ACCOUNT,
    }
    return accounts[row.row_type]


def answer_envelope(
    asked: SimulationQuestion,
    found: Sequence[SimulatedCase],
    today: date,
    *,
    pads: bool,
    form: AnswerForm | None = None,
    least_bytes: int = 0,
) -> bytes:
    """The answer; one without cases says that nothing would change. `least_bytes`: it is made longer than that."""
    writer = _Writer(asked, pads)
    content = f'<response xmlns="">{writer.simulation(found, today)}</response>' if found else ""
    if form in (AnswerForm.NOTE_ONLY, AnswerForm.EMPTY_SIMULATION):
        content = _nothing_in_particular(writer, today, form)
    body = f'<simulerBeregningResponse xmlns="{SERVICE}">{content}</simulerBeregningResponse>'
    match form:
        case AnswerForm.PREFIXED:
            return enveloped(f'<ns5:simulerBeregningResponse xmlns:ns5="{SERVICE}">{content}</ns5:simulerBeregningResponse>', "S").encode()
        case AnswerForm.SELF_CLOSED:
            return enveloped(f'<simulerBeregningResponse xmlns="{SERVICE}"/>').encode()
        case AnswerForm.NOT_XML:
            return b"OK"
        case AnswerForm.LATIN_1:
            return enveloped(body).replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').encode("iso-8859-1", "xmlcharrefreplace")
        case _:
            return _long_enough(enveloped(body).encode(), least_bytes)


def _nothing_in_particular(writer: _Writer, today: date, form: AnswerForm) -> str:
    """A response with a note and no simulation, or with a simulation that has no periods."""
    if form is AnswerForm.NOTE_ONLY:
        return '<response xmlns=""><infomelding><beskrMelding>Ingen beregning utført</beskrMelding></infomelding></response>'
    return f'<response xmlns="">{writer.head(today, 0)}</simulering></response>'


def _long_enough(envelope: bytes, least_bytes: int) -> bytes:
    """The envelope with its first period said again and again behind the last one, until it is so long."""
    end = b"</beregningsPeriode>"
    start, stop, last = envelope.find(b"<beregningsPeriode"), envelope.find(end), envelope.rfind(end)
    if start < 0 or len(envelope) >= least_bytes:
        return envelope
    period = envelope[start : stop + len(end)]
    times = -(-(least_bytes - len(envelope)) // len(period))
    return envelope[: last + len(end)] + period * times + envelope[last + len(end) :]
