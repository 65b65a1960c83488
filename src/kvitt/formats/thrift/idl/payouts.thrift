// The payout service.

include "refusals.thrift"
include "money.thrift"

struct PayoutUnpaid {}
struct PayoutPaid {}
struct PayoutConfirmed {}

struct PayoutCancelled {
    1: required string details
}

union PayoutStatus {
    1: PayoutUnpaid unpaid
    2: PayoutPaid paid
    3: PayoutCancelled cancelled
    4: PayoutConfirmed confirmed
}

struct Payout {
    1: required string payout_id
    2: required string created_at
    3: required string party_id
    4: required string shop_id
    5: required PayoutStatus status
    6: required list<money.FinalCashFlowPosting> cash_flow
    7: required string payout_tool_id
    8: required i64 amount
    9: required i64 fee
    10: required money.CurrencyRef currency
}

struct PayoutCreated {
    1: required Payout payout
}

struct PayoutStatusChanged {
    1: required PayoutStatus status
}

union PayoutChange {
    1: PayoutCreated created
    2: PayoutStatusChanged status_changed
}

struct Event {
    1: required string payout_id
    2: required i32 sequence_id
    3: required string created_at
    4: required PayoutChange payout_change
    5: required Payout payout
}

struct ShopParams {
    1: required string party_id
    2: required string shop_id
}

struct PayoutParams {
    1: required ShopParams shop_params
    2: required money.Cash cash
    3: optional string payout_id
    4: optional string payout_tool_id
}

exception NotFound {
    1: optional string message
}

exception InsufficientFunds {}
exception PayoutAlreadyExists {}

service PayoutManagement {
    Payout CreatePayout (1: PayoutParams payout_params)
        throws (1: InsufficientFunds ex1, 2: refusals.InvalidRequest ex2, 3: PayoutAlreadyExists ex3, 4: NotFound ex4)
    Payout GetPayout (1: string payout_id) throws (1: NotFound ex1)
    void ConfirmPayout (1: string payout_id) throws (1: NotFound ex1)
    void CancelPayout (1: string payout_id, 2: string details) throws (1: NotFound ex1)
}
