"""A file of parties is checked as a whole; every complaint names the place and the rule."""

from pathlib import Path

import pytest

from kvitt.errors import BadDirectory
from kvitt.payouts.directory_file import decode_party, encode_party, read_directory

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")


def test_the_example_can_be_read_and_survives_the_store() -> None:
    found = read_directory(EXAMPLE)
    assert [shop.currency for shop in found.parties[0].shops] == ["RUB", "NOK"]
    for party in found.parties:
        assert decode_party(encode_party(party)) == party


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('contract = "contract-1"', 'contract = "contract-9"', "parties[0].shops[0].contract: the party has no contract contract-9"),
        ('payout_tool = "pt-2"', 'payout_tool = "pt-1"', "parties[0].shops[1].payout_tool: contract contract-2 has no tool pt-1"),
        ('id = "shop-2"', 'id = "shop-1"', "parties[0].shops[1]: shop-1 is there twice"),
        ('id = "contract-2"', 'id = "contract-1"', "parties[0].contracts[1]: contract-1 is there twice"),
        ('{ id = "pt-3"', '{ id = "pt-2"', "parties[0].contracts[1].payout_tools[1]: pt-2 is there twice"),
        ("whole = 200", "whole = 0", "parties[0].contracts[0].terms[0].cash_flow[2].volume: is a share p/q"),
        ("amount = 2000 }", "amount = -1 }", "parties[0].contracts[0].terms[0].cash_flow[1].volume: is a fixed amount below zero"),
        ('"merchant_payout", volume = { kind = "share"', '"merchant_guarantee", volume = { kind = "share"', "which is what is paid out"),
        ('currency = "NOK"\npayout_tool', 'currency = "KRONE"\npayout_tool', "parties[0].shops[1].currency: Expected `str` of length <= 4"),
        ('kind = "fixed", amount = 500', 'kind = "free"', "Invalid value 'free'"),
        ("amount = 500", "amount = 1.5", "Expected `int`, got `float`"),
        ('source = "merchant_payout"', 'source = "wallet"', "Invalid enum value 'wallet'"),
        ('id = "party-1"', 'id = ""', "parties[0].id: Expected `str` of length >= 1"),
        ('payout_tool = "pt-1"', "blokked = true", "parties[0].shops[0]: Object contains unknown field `blokked`"),
        ("# valid_from = 2026-01-01T00:00:00Z", "valid_from = 2026-01-01T00:00:00", "terms[0].valid_from: a moment has a zone"),
        ("# valid_from = 2026-01-01T00:00:00Z", "valid_from = 2026-01-01", "Expected `datetime | null`, got `date`"),
        (
            "# valid_from = 2026-01-01T00:00:00Z",
            "valid_from = 2026-02-01T00:00:00Z\nvalid_until = 2026-01-01T00:00:00Z",
            "terms[0].valid_until: is not after valid_from",
        ),
        ('details = "bank fee"', 'details = "\\u0000"', "terms[0].cash_flow[1].details: must not have control characters"),
        ("volume = { kind", "volume = { kind = 'max_of', volumes = [] }, details = { kind", "cash_flow[0].details: Expected `str | null`"),
        (
            'payout_tool = "pt-1"',
            "accounts = { settlement = 7, payout = 7 }",
            "parties[0].shops[0].accounts.payout: is the account of settlement",
        ),
        ("[[parties]]", "[parties", "the file is not TOML"),
        ("amount = 2000", f"amount = {'9' * 5000}", "the file is not TOML"),
        ("cash_flow = [", f"cash_flow = [{'[' * 5000}", "the file is nested too deeply"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(before: str, after: str, complaint: str) -> None:
    assert before in EXAMPLE
    with pytest.raises(BadDirectory) as refused:
        read_directory(EXAMPLE.replace(before, after, 1))
    assert complaint in str(refused.value)


def test_the_houses_accounts_are_different_ones_in_each_currency_once() -> None:
    house = '[[house]]\ncurrency = "RUB"\nsystem_settlement = 5\nexternal_income = 5\n'
    with pytest.raises(BadDirectory) as refused:
        read_directory(EXAMPLE + house + house)
    assert refused.value.complaints == (
        "house[1]: RUB is there twice",
        "house[0].external_income: is the account of system_settlement",
        "house[1].external_income: is the account of system_settlement",
    )


def test_all_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(BadDirectory) as refused:
        read_directory(EXAMPLE.replace("whole = 200", "whole = 0").replace('payout_tool = "pt-2"', 'payout_tool = "x"'))
    assert len(refused.value.complaints) == 2
