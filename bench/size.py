"""How much a run does: the full sizes, and small ones for a quick look."""

from msgspec import Struct


class Size(Struct, frozen=True):
    """Counts per benchmark; the docstring of each benchmark says what they count."""

    derivations: int
    simulations: int
    dry_runs: int
    messages: int
    alone: int
    open_loop_seconds: float
    end_to_end: int
    payments_of_case: int
    decisions_of_case: int
    stored_payments: int
    memory_messages: int
    checked_cases: int
    relayed: int
    waiting: int
    rounds: int
    transfers: int
    transfers_alone: int
    transfers_few: int
    circle: int
    postings: int
    active_lines: int
    reconciled_orders: int
    decisions: int
    payouts: int
    console_orders: int


FULL = Size(
    derivations=30_000,
    simulations=1_000,
    dry_runs=3_000,
    messages=12_000,
    alone=1_500,
    open_loop_seconds=8.0,
    end_to_end=6_000,
    payments_of_case=500,
    decisions_of_case=500,
    stored_payments=1_000_000,
    memory_messages=30_000,
    checked_cases=10_000,
    relayed=60_000,
    waiting=100_000,
    rounds=3,
    transfers=20_000,
    transfers_alone=2_000,
    transfers_few=1_000,
    circle=40_000,
    postings=300_000,
    active_lines=1_000_000,
    reconciled_orders=1_000_000,
    decisions=12_000,
    payouts=4_000,
    console_orders=1_000_000,
)
QUICK = Size(
    derivations=3_000,
    simulations=100,
    dry_runs=500,
    messages=2_000,
    alone=300,
    open_loop_seconds=2.0,
    end_to_end=1_000,
    payments_of_case=100,
    decisions_of_case=50,
    stored_payments=50_000,
    memory_messages=3_000,
    checked_cases=1_000,
    relayed=5_000,
    waiting=3_000,
    rounds=1,
    transfers=3_000,
    transfers_alone=400,
    transfers_few=100,
    circle=4_000,
    postings=60_000,
    active_lines=20_000,
    reconciled_orders=20_000,
    decisions=2_000,
    payouts=500,
    console_orders=20_000,
)
