"""Lists that can be taken out as CSV, each by the query of its page."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from kvitt.api.console.exports import CsvColumn, CsvList, decimal_of
from kvitt.api.console.frame import Values
from kvitt.api.console.pages import approvals, audit, ledger, orders, payouts, reconciliation


def _listed(name: str) -> Callable[[Values], tuple[Sequence[Any], str | None]]:
    """The rows under a name; the place behind them stands beside them, where a page looks through more than it shows."""
    return lambda values: (values[name].rows, values.get("older", values[name].older))


def _approvals(values: Values) -> tuple[Sequence[Any], str | None]:
    """All that waits, and then what was decided."""
    ended = values["ended"]
    return ([*values["waits"], *ended.rows] if ended.is_first else ended.rows), ended.older


def _statement(values: Values) -> tuple[Sequence[Any], str | None]:
    """Entries with the currency of their account."""
    return [(each, values["account"].currency) for each in values["entries"].rows], values["entries"].older


LISTS: Final = (
    CsvList(
        "/orders.csv",
        "Orders",
        orders.read_all,
        _listed("orders"),
        (
            CsvColumn("Order", lambda each: each.order_id, is_id=True),
            CsvColumn("State", lambda each: each.state),
            CsvColumn("Held", lambda each: each.is_held),
            CsvColumn("Scheme", lambda each: each.scheme),
            CsvColumn("Case", lambda each: each.case_id, is_id=True),
            CsvColumn("Area", lambda each: each.area),
            CsvColumn("Rail", lambda each: each.rail),
            CsvColumn("Check sum in kroner", lambda each: each.sum_kroner),
            CsvColumn("Made", lambda each: each.made_at),
            CsvColumn("Sent", lambda each: each.sent_at),
        ),
    ),
    CsvList(
        "/payouts.csv",
        "Payouts",
        payouts.read_all,
        _listed("payouts"),
        (
            CsvColumn("Payout", lambda each: each.payout_id, is_id=True),
            CsvColumn("Status", lambda each: each.status),
            CsvColumn("Party", lambda each: each.party_id),
            CsvColumn("Shop", lambda each: each.shop_id),
            CsvColumn("Amount", lambda each: decimal_of(each.amount_minor, each.currency)),
            CsvColumn("Fee", lambda each: decimal_of(each.fee_minor, each.currency)),
            CsvColumn("Currency", lambda each: each.currency),
            CsvColumn("Made", lambda each: each.created_at),
        ),
        about_people=False,
    ),
    CsvList(
        "/approvals.csv",
        "Approvals",
        approvals.read_all,
        _approvals,
        (
            CsvColumn("No", lambda each: each.approval_no),
            CsvColumn("Act", lambda each: each.act),
            CsvColumn("About", lambda each: each.subject, is_id=True),
            CsvColumn("Asked for by", lambda each: each.asked_by),
            CsvColumn("Name", lambda each: each.asked_name),
            CsvColumn("When", lambda each: each.asked_at),
            CsvColumn("Reason", lambda each: each.reason),
            CsvColumn("State", lambda each: each.state),
            CsvColumn("Decided by", lambda each: each.decided_by),
            CsvColumn("Name of who decided", lambda each: each.decided_name),
            CsvColumn("When decided", lambda each: each.decided_at),
            CsvColumn("What came of it", lambda each: each.outcome),
        ),
    ),
    CsvList(
        "/audit.csv",
        "Acts",
        audit.read,
        _listed("acts"),
        (
            CsvColumn("Entry", lambda each: each[0].seq),
            CsvColumn("When", lambda each: each[0].at),
            CsvColumn("Act", lambda each: each[0].what),
            CsvColumn("About", lambda each: each[1].subject, is_id=True),
            CsvColumn("By", lambda each: each[1].by),
            CsvColumn("And", lambda each: each[1].approved_by),
            CsvColumn("Approval", lambda each: each[1].approval),
            CsvColumn("Reason", lambda each: each[1].reason),
            CsvColumn("Hash", lambda each: each[0].hash.hex(), is_id=True),
        ),
    ),
    CsvList(
        "/reconciliation/{run_no:int}/since.csv",
        "Reported otherwise",
        reconciliation.read_since,
        _listed("changed"),
        (
            CsvColumn("Order", lambda each: each.order_id, is_id=True),
            CsvColumn("Scheme", lambda each: each.scheme),
            CsvColumn("Case", lambda each: each.case_id, is_id=True),
            CsvColumn("Check sum in kroner", lambda each: each.sum_kroner),
            CsvColumn("Reported as", lambda each: each.bucket),
            CsvColumn("By now", lambda each: each.order_state),
            CsvColumn("Since", lambda each: each.settled_at),
            CsvColumn("By hand", lambda each: each.decided_by_hand),
            CsvColumn("Receipt", lambda each: each.order_receipt_no),
        ),
    ),
    CsvList(
        "/ledger/accounts/{account_id:int}/statement.csv",
        "Statement",
        ledger.read_account,
        _statement,
        (
            CsvColumn("Entry", lambda each: each[0].entry),
            CsvColumn("When", lambda each: each[0].at),
            CsvColumn("Step", lambda each: each[0].operation),
            CsvColumn("Plan", lambda each: each[0].plan_id, is_id=True),
            CsvColumn("Batch", lambda each: each[0].batch_id),
            CsvColumn("Currency", lambda each: each[1]),
            CsvColumn("Change", lambda each: decimal_of(each[0].change_minor, each[1])),
            CsvColumn("Own", lambda each: decimal_of(each[0].posted_minor, each[1])),
            CsvColumn("At least", lambda each: decimal_of(each[0].available_min_minor, each[1])),
            CsvColumn("At most", lambda each: decimal_of(each[0].available_max_minor, each[1])),
        ),
        about_people=False,
    ),
)
