"""The local directory as a file: parties with their shops, contracts, payout tools and fee terms, checked as a whole before any is used.

It is TOML; `examples/parties.toml` shows all of it. Every complaint names the place and the rule.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict, fields

from kvitt.errors import BadDirectory
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.ledger.rules import MAX_CURRENCY, MAX_DESCRIPTION
from kvitt.payouts.fees import Term, has_unit, wrong_volume
from kvitt.payouts.rules import AccountType

DirectoryId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]
DirectoryCurrency = Annotated[str, Meta(min_length=1, max_length=MAX_CURRENCY, pattern=r"^[^\x00]*$")]
DirectoryAccountId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_NAMES: Final = (DirectoryId, DirectoryCurrency, DirectoryId | None)


PAYS: Final = (AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_PAYOUT)
"""The movement that pays out."""


class Accounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A shop's accounts in the ledger; those that are not named are made when the file is loaded."""

    settlement: DirectoryAccountId | None = None
    guarantee: DirectoryAccountId | None = None
    payout: DirectoryAccountId | None = None


class HouseAccounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The accounts in one currency that no shop has."""

    currency: DirectoryCurrency
    provider_settlement: DirectoryAccountId | None = None
    system_settlement: DirectoryAccountId | None = None
    external_income: DirectoryAccountId | None = None
    external_outcome: DirectoryAccountId | None = None


class ShopEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A shop; its payouts go by `payout_tool` unless they name another one of the contract."""

    id: DirectoryId
    contract: DirectoryId
    currency: DirectoryCurrency
    payout_tool: DirectoryId | None = None
    accounts: Accounts = Accounts()
    blocked: bool = False
    suspended: bool = False


class ToolEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to pay out."""

    id: DirectoryId
    currency: DirectoryCurrency


class TermsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The movements from a moment on until another one; without them for ever. Of payouts in `currency` only, where one is named."""

    cash_flow: tuple[Term, ...]
    currency: DirectoryCurrency | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether these are the terms then."""
        return (self.valid_from is None or self.valid_from <= moment) and (self.valid_until is None or moment < self.valid_until)


class ContractEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contract with its tools, and its terms of which the first that hold count."""

    id: DirectoryId
    payout_tools: tuple[ToolEntry, ...]
    terms: tuple[TermsEntry, ...]


class PartyEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A party with all that is its."""

    id: DirectoryId
    shops: tuple[ShopEntry, ...]
    contracts: tuple[ContractEntry, ...]
    blocked: bool = False
    suspended: bool = False


class Directory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    parties: tuple[PartyEntry, ...]
    house: tuple[HouseAccounts, ...] = ()


def read_directory(text: str) -> Directory:
    """The directory of a file's text. Raises BadDirectory with every complaint about what it holds, or the first about its form."""
    try:
        found = msgspec.convert(tomllib.loads(text), Directory)
    except RecursionError:
        raise BadDirectory(["the file is nested too deeply"]) from None
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `$")
        raise BadDirectory([f"{place.rstrip('`').lstrip('.') or 'the file'}: {said}"]) from None
    except ValueError as error:
        # What is no TOML, and numbers that are too long to be read.
        raise BadDirectory([f"the file is not TOML: {error}"]) from None
    if complaints := list(_complaints(found)):
        raise BadDirectory(complaints)
    return found


def encode_party(party: PartyEntry) -> bytes:
    """A party as it is stored: JSON, the same for the same party."""
    return msgspec.json.encode(party, order="sorted")


def decode_party(stored: bytes) -> PartyEntry:
    """A party out of the store."""
    return _decoder.decode(stored)


_decoder = msgspec.json.Decoder(PartyEntry)


def _flawed(value: object, place: str) -> Iterator[str]:
    """Ids and currencies that hide something, wherever they stand."""
    if isinstance(value, Struct):
        for field in fields(value):
            inner = getattr(value, field.name)
            path = f"{place}.{field.name}" if place else field.name
            if field.type in _NAMES and inner is not None and (wrong := wrong_id(inner)):
                yield f"{path}: {wrong}"
            yield from _flawed(inner, path)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _flawed(item, f"{place}[{number}]")


def _complaints(found: Directory) -> Iterator[str]:
    yield from _flawed(found, "")
    yield from _doubles("parties", [party.id for party in found.parties])
    yield from _doubles("house", [house.currency for house in found.house])
    for number, house in enumerate(found.house):
        yield from _doubled_accounts(f"house[{number}]", asdict(house))
    for number, party in enumerate(found.parties):
        place = f"parties[{number}]"
        yield from _doubles(f"{place}.shops", [shop.id for shop in party.shops])
        yield from _doubles(f"{place}.contracts", [contract.id for contract in party.contracts])
        contracts = {contract.id: contract for contract in party.contracts}
        for at, shop in enumerate(party.shops):
            yield from _about_shop(f"{place}.shops[{at}]", shop, contracts.get(shop.contract))
        for at, contract in enumerate(party.contracts):
            yield from _about_contract(f"{place}.contracts[{at}]", contract)
            currencies = sorted({shop.currency for shop in party.shops if shop.contract == contract.id})
            yield from _about_units(f"{place}.contracts[{at}]", contract, currencies)


def _about_shop(place: str, shop: ShopEntry, contract: ContractEntry | None) -> Iterator[str]:
    if contract is None:
        yield f"{place}.contract: the party has no contract {shop.contract}"
    elif shop.payout_tool is not None and shop.payout_tool not in {tool.id for tool in contract.payout_tools}:
        yield f"{place}.payout_tool: contract {contract.id} has no tool {shop.payout_tool}"
    yield from _doubled_accounts(f"{place}.accounts", asdict(shop.accounts))


def _doubled_accounts(place: str, accounts: Mapping[str, object]) -> Iterator[str]:
    """Accounts between which money would move, and that are one: the ledger moves nothing from an account to itself."""
    names: dict[object, str] = {}
    for name, account in accounts.items():
        if account is not None and (first := names.setdefault(account, name)) != name:
            yield f"{place}.{name}: is the account of {first}"


def _about_contract(place: str, contract: ContractEntry) -> Iterator[str]:
    yield from _doubles(f"{place}.payout_tools", [tool.id for tool in contract.payout_tools])
    for at, terms in enumerate(contract.terms):
        yield from _about_terms(f"{place}.terms[{at}]", terms)


def _about_units(place: str, contract: ContractEntry, currencies: Sequence[str]) -> Iterator[str]:
    """A fixed amount is in a currency: that of the terms, or of the one in which all shops of the contract are."""
    for at, terms in enumerate(contract.terms):
        fixed = any(wrong_volume(term.volume) is None and has_unit(term.volume) for term in terms.cash_flow)
        if fixed and terms.currency is None and len(currencies) > 1:
            yield f"{place}.terms[{at}].currency: is needed for fixed amounts, as shops of the contract are in {' and '.join(currencies)}"


def _about_terms(place: str, terms: TermsEntry) -> Iterator[str]:
    zoneless = [name for name in ("valid_from", "valid_until") if (moment := getattr(terms, name)) and moment.tzinfo is None]
    yield from (f"{place}.{name}: a moment has a zone, such as Z" for name in zoneless)
    if not zoneless and terms.valid_from and terms.valid_until and terms.valid_until <= terms.valid_from:
        yield f"{place}.valid_until: is not after valid_from"
    for number, term in enumerate(terms.cash_flow):
        yield from _about_term(f"{place}.cash_flow[{number}]", term)
    if PAYS not in {(term.source, term.target) for term in terms.cash_flow}:
        yield f"{place}.cash_flow: nothing moves from {PAYS[0]} to {PAYS[1]}, which is what is paid out"


def _about_term(place: str, term: Term) -> Iterator[str]:
    if wrong := wrong_volume(term.volume):
        yield f"{place}.volume: {wrong}"
    if term.source is term.target:
        yield f"{place}: source and target are the same"
    if term.details is not None and (wrong := wrong_text(term.details, MAX_DESCRIPTION)):
        yield f"{place}.details: {wrong}"


def _doubles(place: str, ids: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for number, each in enumerate(ids):
        if each in seen:
            yield f"{place}[{number}]: {each} is there twice"
        seen.add(each)
