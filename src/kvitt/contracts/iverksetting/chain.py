"""The rules of a decision after those before it, and of who may send it, under the lock of its case (iverksetting §1.5, §1.6; design §12).

They are looked at in this order: whether the case may be opened and its frame changed, the chain, what the first form says of the decision
before, and last whether what is paid anew is within the frame.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from kvitt.contracts.iverksetting import texts
from kvitt.contracts.iverksetting.benefits import catalogue_name
from kvitt.contracts.iverksetting.decision import CaseDecision, DecidedSpan, DecisionForm, DecisionKind, EnactmentKey, Generation
from kvitt.disbursement.authority import (
    Authority,
    PaidPeriod,
    is_opened_for_another,
    refused_amounts,
    refused_frame,
    refused_one_person,
    refused_opening,
)
from kvitt.disbursement.decisions import ChainFault, DecisionKey, Frame
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.editions import CURRENT
from kvitt.disbursement.values import PaymentId, Period, Refusal, Scheme

_NOTHING: Final = EnactmentKey("null")


class DecisionInCase(Struct, frozen=True):
    """A decision with all that the rules need: the case as it stands, who sends it, and in whose words they are said."""

    decision: CaseDecision
    case: CaseState
    scheme: Scheme
    by: Authority
    generation: Generation
    edition: int = CURRENT

    @property
    def opens(self) -> bool:
        """Whether nothing was decided in the case before, or nothing that was accepted and all for another person (iverksetting §1.1)."""
        decided = self.case.decisions is not None and self.case.decisions.newest is not None
        return not decided or self.is_opened_for_another

    @property
    def is_opened_for_another(self) -> bool:
        """Whether nothing was accepted, and what was decided was for somebody else."""
        return is_opened_for_another(self.case, self.decision.person, self.edition)

    @property
    def frame_before(self) -> Frame:
        """The frame as it stands."""
        return self.case.frame or Frame()

    @property
    def frame_after(self) -> Frame:
        """The frame once the decision is received; what it says nothing of is kept."""
        before, said = self.frame_before, self.decision.frame
        return Frame(said.start or before.start, before.cap_kroner if said.cap_kroner is None else said.cap_kroner)

    @property
    def frames(self) -> bool:
        """Whether it is a decision about the frame: by its kind, or because it changes what stands."""
        return self.decision.kind is DecisionKind.FRAME or self.frame_after != self.frame_before


def refused_in_case(asked: DecisionInCase, payments: Sequence[PaymentId]) -> Refusal | None:
    """The first rule that a decision breaks in its case, None: it is received. `payments`: which payment each of its entries is of."""
    return _refused_sender(asked) or _refused_chain(asked) or _refused_first_form(asked) or _refused_amounts(asked, payments)


def _refused_sender(asked: DecisionInCase) -> Refusal | None:
    decision, by = asked.decision, asked.by
    unframed = decision.previous is None or asked.is_opened_for_another
    if asked.opens and decision.kind is DecisionKind.PAYMENT and unframed:
        return texts.NO_FRAME_YET.refusal(asked.generation)
    if asked.frames and (refused := refused_frame(by)):
        return refused
    if asked.opens and (refused := refused_opening(by)):
        return refused
    return refused_one_person(by, decision.caseworker, decision.approver, as_approver=asked.opens or asked.frames)


def _refused_chain(asked: DecisionInCase) -> Refusal | None:
    chain, previous = asked.case.decisions, asked.decision.previous
    assert chain is not None, "the contract keeps a chain"
    fault = chain.fault(previous.names if previous else None)
    if fault is ChainFault.UNKNOWN:
        return chain_wording(texts.PREVIOUS_UNKNOWN, asked)
    if fault is ChainFault.NOT_NEWEST:
        return chain_wording(texts.PREVIOUS_NOT_LATEST, asked)
    if fault is ChainFault.NOT_FINISHED or asked.case.open:
        return chain_wording(texts.NOT_FINISHED, asked)
    return None


def chain_wording(wording: texts.Wording, asked: DecisionInCase) -> Refusal:
    """A refusal that names the decision, the one before it, and the latest one."""
    decision, chain = asked.decision, asked.case.decisions
    previous = decision.previous or _NOTHING
    latest = _key(chain.newest.key) if chain and chain.newest else _NOTHING
    return wording.refusal(
        asked.generation,
        scheme=asked.scheme.value,
        case=decision.case_name,
        decision=decision.key.decision_id,
        previous=previous.decision_id,
        previous_enactment=previous.enactment_id,
        latest=latest.decision_id,
        latest_enactment=latest.enactment_id,
    )


def _key(names: DecisionKey) -> EnactmentKey:
    decision_id, enactment_id = names
    return EnactmentKey(decision_id, enactment_id or None)


def _refused_first_form(asked: DecisionInCase) -> Refusal | None:
    """The refusal where what was decided last is not said again, or the person is another (iverksetting §1.5)."""
    decision = asked.decision
    if decision.form is not DecisionForm.FIRST:
        return None
    if _said_again(decision.previous_spans or ()) != _accepted(asked.case):
        return texts.NOT_CONSISTENT.refusal(asked.generation)
    if asked.case.person not in (None, decision.person):
        return texts.OTHER_PERSON.refusal(asked.generation)
    return None


_SaidSpan = tuple[date, date, int, str]


def _said_again(spans: Iterable[DecidedSpan]) -> Sequence[_SaidSpan]:
    return sorted((span.start, span.end, span.amount, catalogue_name(span.terms)) for span in spans)


def _accepted(case: CaseState) -> Sequence[_SaidSpan]:
    paid = ((period, payment.benefit) for payment in case.payments.values() for period in payment.wanted)
    return sorted((period.start, period.end, period.amount, benefit) for period, benefit in paid)


def _refused_amounts(asked: DecisionInCase, payments: Sequence[PaymentId]) -> Refusal | None:
    """The refusal of what is paid outside the frame, and was not accepted before."""
    decision, accepted = asked.decision, asked.case.payments
    wanted = [
        PaidPeriod(accepted.get(name), Period(span.start, span.end, span.amount), span.rate_type)
        for span, name in zip(decision.spans, payments, strict=True)
    ]
    return refused_amounts(asked.by, asked.frame_after, wanted, accepted.values(), (decision.caseworker, decision.approver))
