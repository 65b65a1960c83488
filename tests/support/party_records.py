"""A party and a cash flow as PartyManagement tells them, with every field of the contract set, and bytes with fields of a newer peer."""

import struct
from typing import Any

from thriftpy2.thrift import TType

from kvitt.formats.thrift.interface import module, unions

TYPES: Any = module("parties")
MONEY: Any = module("money")
SINCE = "2021-09-10T12:00:00Z"
ROUBLE: Any = MONEY.CurrencyRef(symbolic_code="RUB")
UNBLOCKED: Any = TYPES.Blocking(unblocked=TYPES.Blocked(reason="", since=SINCE))
ACTIVE: Any = TYPES.Suspension(active=TYPES.Suspended(since=SINCE))
STRANGER = b"\x0c\x03\xe7\x0b\x00\x01\x00\x00\x00\x03new\x0d\x00\x02\x08\x0f\x00\x00\x00\x01\x00\x00\x00\x07\x06\x00\x00\x00\x00\x00"
"""Field 999, which nobody knows: a struct of a text, and of a map from a number to an empty list."""


def a_party() -> Any:
    """Two shops, of which one has neither account nor payout tool; a contract with a tool of every kind; a wallet; a contractor."""
    shop = a_shop()
    bare = TYPES.Shop(**{**vars(shop), "id": "shop-2", "account": None, "payout_tool_id": None, "payout_schedule": None})
    return TYPES.Party(
        id="party-1",
        blocking=UNBLOCKED,
        suspension=ACTIVE,
        contracts={"contract-1": a_contract()},
        shops={"shop-1": shop, "shop-2": bare},
        revision=7,
        contact_info=TYPES.PartyContactInfo(email="a@b"),
        created_at=SINCE,
        contractors={"contractor-1": TYPES.PartyContractor()},
        wallets={"wallet-1": a_wallet()},
    )


def a_shop() -> Any:
    """`shop-1` with its accounts 11, 12 and 13."""
    return TYPES.Shop(
        id="shop-1",
        blocking=UNBLOCKED,
        suspension=ACTIVE,
        details=TYPES.ShopDetails(name="A shop", description="of books"),
        category=TYPES.CategoryRef(id=1),
        account=TYPES.ShopAccount(currency=ROUBLE, settlement=11, guarantee=12, payout=13),
        contract_id="contract-1",
        payout_tool_id="pt-1",
        location=TYPES.ShopLocation(url="http://shop"),
        created_at=SINCE,
        payout_schedule=TYPES.BusinessScheduleRef(id=3),
    )


def a_contract() -> Any:
    """`contract-1` with the payout tools pt-1 to pt-4."""
    terms = TYPES.TermSetHierarchyRef(id=1)
    times = {"valid_since": SINCE, "valid_until": SINCE}
    return TYPES.Contract(
        id="contract-1",
        **times,
        status=TYPES.ContractStatus(terminated=TYPES.Terminated(terminated_at=SINCE)),
        terms=terms,
        adjustments=[TYPES.ContractAdjustment(id="a", **times, terms=terms, created_at=SINCE)],
        payout_tools=[
            TYPES.PayoutTool(id=f"pt-{number}", currency=ROUBLE, payout_tool_info=TYPES.PayoutToolInfo(**{kind: info}), created_at=SINCE)
            for number, (kind, info) in enumerate(tools().items(), start=1)
        ],
        legal_agreement=TYPES.LegalAgreement(signed_at=SINCE, legal_agreement_id="l", valid_until=SINCE),
        created_at=SINCE,
        payment_institution=TYPES.PaymentInstitutionRef(id=1),
        contractor_id="contractor-1",
    )


def tools() -> dict[str, Any]:
    """What there is to tell of a payout tool of each kind."""
    bank = TYPES.InternationalBankDetails(bic="B", country=895, name="Bank", address="Street", aba_rtn="A")
    account = {"account_holder": "Me", "iban": "NO93", "number": "1", "bank": bank}
    return {
        "russian_bank_account": TYPES.RussianBankAccount(account="1", bank_name="Bank", bank_post_account="2", bank_bik="3"),
        "international_bank_account": TYPES.InternationalBankAccount(
            **account, correspondent_account=TYPES.CorrespondentAccount(**account)
        ),
        "wallet_info": TYPES.WalletInfo(wallet_id="wallet-1"),
        "payment_institution_account": TYPES.Nothing(),
    }


def a_wallet() -> Any:
    """A wallet with its accounts."""
    return TYPES.Wallet(
        id="wallet-1",
        name="Mine",
        created_at=SINCE,
        blocking=TYPES.Blocking(blocked=TYPES.Blocked(reason="why", since=SINCE)),
        suspension=TYPES.Suspension(suspended=TYPES.Suspended(since=SINCE)),
        contract="contract-1",
        account=TYPES.WalletAccount(currency=ROUBLE, settlement=14, payout=15),
    )


def a_cash_flow(**target: int) -> list[Any]:
    """One movement of 10,000.00 from account 11 to account 13, which is of the type given, or the shop's payout account."""
    accounts = [
        MONEY.FinalCashFlowAccount(account_type=MONEY.CashFlowAccount(**kind), account_id=number)
        for number, kind in ((11, {"merchant": 0}), (13, target or {"merchant": 2}))
    ]
    volume = MONEY.Cash(amount=1_000_000, currency=ROUBLE)
    return [MONEY.FinalCashFlowPosting(source=accounts[0], destination=accounts[1], volume=volume, details="why")]


def as_a_newer_peer_tells(value: Any) -> bytes:
    """The bytes of a struct in which every struct but the unions ends with a field that nobody knows."""
    fields = b""
    for number, spec in sorted(value.thrift_spec.items()):
        published = getattr(value, spec[1])
        if published is not None:
            fields += struct.pack(">bh", spec[0], number) + _bytes(published, spec[0], spec[2] if len(spec) == 4 else None)
    return fields + (b"" if type(value) in unions("parties") else STRANGER) + b"\x00"


def _bytes(value: Any, ttype: int, made_of: Any) -> bytes:
    if ttype == TType.STRUCT:
        return as_a_newer_peer_tells(value)
    if ttype == TType.STRING:
        return struct.pack(">i", len(value.encode())) + value.encode()
    if ttype == TType.LIST:
        kind = _side(made_of)
        return struct.pack(">bi", kind[0], len(value)) + b"".join(_bytes(each, *kind) for each in value)
    if ttype == TType.MAP:
        key, kind = map(_side, made_of)
        pairs = b"".join(_bytes(name, *key) + _bytes(each, *kind) for name, each in value.items())
        return struct.pack(">bbi", key[0], kind[0], len(value)) + pairs
    return struct.pack({TType.I32: ">i", TType.I64: ">q"}[ttype], value)


def _side(spec: Any) -> tuple[int, Any]:
    return spec if isinstance(spec, tuple) else (spec, None)
