"""What the suite of the contract port needs of a contract: messages as its senders write them. New contracts begin by being added here."""

import json
from abc import ABC, abstractmethod

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.contract import Contract, Contracts
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from support.hub_messages import aap, payment_uid, person_of, text
from support.rapid_messages import PERSON as MEMBER
from support.rapid_messages import line
from support.rapid_stage import other_case
from support.toy_contract import PAYMENTS, ToyContract

TOY = Ports(contracts=Contracts(*PORTS.contracts, ToyContract()), rails=PORTS.rails)
"""A hub with the toy contract plugged in beside the others: one line."""
Message = tuple[bytes, bytes]
"""Key and body."""


class ContractKit(ABC):
    """One contract under test."""

    ports: Ports
    source: str
    scheme: Scheme
    knows_repeats = True
    """A repeat hears the stored answer; else it is compared with what is accepted, and changes nothing."""
    queues = True
    """A message of a busy case waits; else it is refused."""

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
        return f"key-{number}".encode(), text(aap(self.case(number)))

    def asks_otherwise(self, number: int) -> Message:
        """The same payment with another amount: a correction like any other."""
        return f"key-{number}".encode(), text(aap(self.case(number), 600))

    def asks_more(self, number: int) -> Message:
        """The payment corrected."""
        return f"more-{number}".encode(), text(aap(self.case(number), 700))

    def broken(self) -> Message:
        """No JSON."""
        return b"key", b"{"


class RapidKit(ContractKit):
    """The rapid."""

    ports, source, scheme = PORTS, RAPID, Scheme.SYKEPENGER

    def case(self, number: int) -> str:
        """As senders number them."""
        return f"SAK{number}"

    def asks(self, number: int) -> Message:
        """A need."""
        return MEMBER.encode(), json.dumps(other_case(number)).encode()

    def asks_otherwise(self, number: int) -> Message:
        """Another amount under the same payment id."""
        return MEMBER.encode(), json.dumps(other_case(number, linjer=[line(sats=1600)])).encode()

    def asks_more(self, number: int) -> Message:
        """A need of its own that goes on from the line of the first."""
        longer = line(delytelseId=2, refDelytelseId=1, refFagsystemId=self.case(number), fom="2024-03-23", tom="2024-03-29")
        need = other_case(number, utbetalingId=f"00000000-0000-4000-8000-{number:012d}", endringskode="ENDR", linjer=[longer])
        return MEMBER.encode(), json.dumps(need).encode()

    def broken(self) -> Message:
        """A need without a recipient."""
        return MEMBER.encode(), json.dumps(other_case(99, mottaker=None)).encode()


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
        return f"key-{number}".encode(), self._line(number, 500)

    def asks_otherwise(self, number: int) -> Message:
        """Another line under its key."""
        return f"key-{number}".encode(), self._line(number, 600)

    def asks_more(self, number: int) -> Message:
        """Another amount, under a key of its own."""
        return f"more-{number}".encode(), self._line(number, 700)

    def broken(self) -> Message:
        """Too few fields."""
        return b"key", b"T1,now"


KITS = (HelvedKit, RapidKit, ToyKit)
