"""What the suite of the contract port needs of a contract: messages as its senders write them. New contracts begin by being added here."""

import json
from abc import ABC, abstractmethod
from typing import NamedTuple

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.contracts.iverksetting.call import SOURCE_OF, EnactmentCall
from kvitt.contracts.iverksetting.decision import DecisionForm, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.contracts.utbetalinger.contract import REQUEST
from kvitt.contracts.utbetalinger.contract import SOURCES as SINGLE_SOURCES
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.contract import Contract, Contracts
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from support.called_contract import BY_MACHINE, CALLED, CalledContract
from support.called_contract import line as called_line
from support.hub_messages import aap, payment_uid, person_of, text
from support.iverksetting_bodies import Body, days, encoded, previous, v2
from support.iverksetting_bodies import person_of as enacted_person_of
from support.rapid_messages import PERSON as MEMBER
from support.rapid_messages import line
from support.rapid_stage import other_case
from support.single_payments import single, span
from support.single_payments import text as single_text
from support.toy_contract import PAYMENTS, ToyContract

CALLED_TOY = Ports(contracts=Contracts(*PORTS.contracts, CalledContract()), rails=PORTS.rails)
TOY = Ports(contracts=Contracts(*PORTS.contracts, ToyContract()), rails=PORTS.rails)
"""A hub with the toy contract plugged in beside the others: one line."""


class Message(NamedTuple):
    """What a sender hands in; `headers` say of a call who makes it and what for."""

    key: bytes
    body: bytes
    headers: bytes = b"[]"


class ContractKit(ABC):
    """One contract under test."""

    ports: Ports
    source: str
    scheme: Scheme
    knows_repeats = True
    """A repeat hears the stored answer; else it is compared with what is accepted, and changes nothing."""
    queues = True
    """A message of a case with an open order is queued; else it is refused."""

    @property
    def contract(self) -> Contract:
        """The contract."""
        return self.ports.contracts.of[self.source]

    @abstractmethod
    def case(self, number: int) -> str:
        """The id of a case."""

    @abstractmethod
    def asks(self, number: int) -> Message:
        """Something good to pay in a case of that number."""

    @abstractmethod
    def asks_otherwise(self, number: int) -> Message:
        """Other content under the identity of `asks`, where the contract has one."""

    @abstractmethod
    def asks_more(self, number: int) -> Message:
        """A later message of the same case, which leads to another order once the first is accepted."""

    @abstractmethod
    def broken(self) -> Message:
        """What its sender can hear about, and nothing can be made of."""


class HelvedKit(ContractKit):
    """The case streams, by AAP."""

    ports, source, scheme = PORTS, primary_input(Scheme.AAP), Scheme.AAP
    knows_repeats = False

    def case(self, number: int) -> str:
        """As senders number them."""
        return f"A{number}"

    def asks(self, number: int) -> Message:
        """A payment."""
        return Message(f"key-{number}".encode(), text(aap(self.case(number))))

    def asks_otherwise(self, number: int) -> Message:
        """The same payment with another amount: a correction like any other."""
        return Message(f"key-{number}".encode(), text(aap(self.case(number), 600)))

    def asks_more(self, number: int) -> Message:
        """The payment corrected."""
        return Message(f"more-{number}".encode(), text(aap(self.case(number), 700)))

    def broken(self) -> Message:
        """No JSON."""
        return Message(b"key", b"{")


class RapidKit(ContractKit):
    """The rapid."""

    ports, source, scheme = PORTS, RAPID, Scheme.SYKEPENGER

    def case(self, number: int) -> str:
        """As senders number them."""
        return f"SAK{number}"

    def asks(self, number: int) -> Message:
        """A need."""
        return Message(MEMBER.encode(), json.dumps(other_case(number)).encode())

    def asks_otherwise(self, number: int) -> Message:
        """Another amount under the same payment id."""
        return Message(MEMBER.encode(), json.dumps(other_case(number, linjer=[line(sats=1600)])).encode())

    def asks_more(self, number: int) -> Message:
        """A need of its own that goes on from the line of the first."""
        longer = line(delytelseId=2, refDelytelseId=1, refFagsystemId=self.case(number), fom="2024-03-23", tom="2024-03-29")
        need = other_case(number, utbetalingId=f"00000000-0000-4000-8000-{number:012d}", endringskode="ENDR", linjer=[longer])
        return Message(MEMBER.encode(), json.dumps(need).encode())

    def broken(self) -> Message:
        """A need without a recipient."""
        return Message(MEMBER.encode(), json.dumps(other_case(99, mottaker=None)).encode())


class ToyKit(ContractKit):
    """The toy."""

    ports, source, scheme = TOY, PAYMENTS, Scheme.VALP
    queues = False

    def case(self, number: int) -> str:
        """As senders number them."""
        return f"T{number}"

    def _line(self, number: int, kroner: int) -> bytes:
        return (
            f"{self.case(number)},{payment_uid(self.case(number))},{person_of(self.case(number))},2026-06-01,2026-06-20,{kroner}".encode()
        )

    def asks(self, number: int) -> Message:
        """A line."""
        return Message(f"key-{number}".encode(), self._line(number, 500))

    def asks_otherwise(self, number: int) -> Message:
        """Another line under its key."""
        return Message(f"key-{number}".encode(), self._line(number, 600))

    def asks_more(self, number: int) -> Message:
        """Another amount, under a key of its own."""
        return Message(f"more-{number}".encode(), self._line(number, 700))

    def broken(self) -> Message:
        """Too few fields."""
        return Message(b"key", b"T1,now")


class CalledToyKit(ContractKit):
    """The toy that is called."""

    ports, source, scheme = CALLED_TOY, CALLED, Scheme.VALP
    queues = False

    def case(self, number: int) -> str:
        """As callers number them."""
        return f"C{number}"

    def _message(self, body: bytes) -> Message:
        return Message(b"key", body, BY_MACHINE.encode())

    def asks(self, number: int) -> Message:
        """The first decision of a case."""
        return self._message(called_line(self.case(number), f"D{number}"))

    def asks_otherwise(self, number: int) -> Message:
        """Another amount in the same decision."""
        return self._message(called_line(self.case(number), f"D{number}", kroner=600))

    def asks_more(self, number: int) -> Message:
        """The next decision."""
        return self._message(called_line(self.case(number), f"E{number}", f"D{number}", kroner=700))

    def broken(self) -> Message:
        """Too few fields."""
        return self._message(b"C1,now")


class IverksettingKit(ContractKit):
    """Decisions over REST."""

    ports, source, scheme = PORTS, SOURCE_OF[Scheme.TILLEGGSSTONADER], Scheme.TILLEGGSSTONADER
    queues = False
    _by = EnactmentCall(ReadingTerms(DecisionForm.V2, Generation.THIRD), Authority(application="ts-sak", opens=True, frames=True))

    def case(self, number: int) -> str:
        """As callers number them."""
        return f"S{number}"

    def _message(self, decision: str, body: Body) -> Message:
        return Message(decision.encode(), encoded(body), self._by.headers.encode())

    def _paying(self, number: int, kroner: int) -> Body:
        return v2(self.case(number), f"B{number}", [days("2026-05-04", "2026-05-08", kroner)], personident=enacted_person_of(number))

    def asks(self, number: int) -> Message:
        """The first decision of a case."""
        return self._message(f"B{number}", self._paying(number, 640))

    def asks_otherwise(self, number: int) -> Message:
        """Another amount in the same decision."""
        return self._message(f"B{number}", self._paying(number, 650))

    def asks_more(self, number: int) -> Message:
        """The next decision, which pays more."""
        spans = [days("2026-05-04", "2026-05-08", 700)]
        body = v2(self.case(number), f"M{number}", spans, after=previous(f"B{number}"), personident=enacted_person_of(number))
        return self._message(f"M{number}", body)

    def broken(self) -> Message:
        """A decision without a person."""
        return self._message("B99", v2(self.case(99), "B99", personident=None))


class UtbetalingerKit(ContractKit):
    """Single payments over REST; whoever may make a request again names it."""

    ports, source, scheme = PORTS, SINGLE_SOURCES[Scheme.AAP], Scheme.AAP
    queues = False

    def case(self, number: int) -> str:
        """As callers number them."""
        return f"AAP-{number}"

    def _message(self, number: int, operation: str, request: str, body: bytes) -> Message:
        uid = f"5d0c2e9e-1111-4222-8333-{number:012d}"
        headers = CallHeaders(operation, "v1", "payers", policy={"opens": "yes", REQUEST: request})
        return Message(uid.encode(), body, headers.encode())

    def _paying(self, number: int, kroner: int) -> bytes:
        return single_text(single(span("2026-06-01", amount=kroner), sakId=self.case(number), personident=enacted_person_of(number)))

    def asks(self, number: int) -> Message:
        """A payment is made."""
        return self._message(number, "post", f"made-{number}", self._paying(number, 500))

    def asks_otherwise(self, number: int) -> Message:
        """Another amount under the same request."""
        return self._message(number, "post", f"made-{number}", self._paying(number, 600))

    def asks_more(self, number: int) -> Message:
        """The payment is changed."""
        return self._message(number, "put", f"changed-{number}", self._paying(number, 700))

    def broken(self) -> Message:
        """No JSON."""
        return self._message(99, "post", "broken", b"{")


KITS = (HelvedKit, RapidKit, ToyKit, CalledToyKit, IverksettingKit, UtbetalingerKit)
