// The ledger whose answers carry a clock; balances are asked for separately.

include "plans.thrift"
include "refusals.thrift"

struct VectorClock {
    1: required binary state
}

struct LatestClock {}

union Clock {
    1: VectorClock vector
    2: LatestClock latest
}

struct Account {
    1: required i64 id
    2: required string currency_sym_code
    3: optional string description
    4: optional string creation_time
}

struct Balance {
    1: required i64 id
    2: required i64 own_amount
    3: required i64 max_available_amount
    4: required i64 min_available_amount
    5: required Clock clock
}

exception ClockInFuture {}

service Accounter {
    Clock Hold (1: plans.PostingPlanChange plan_change) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    Clock CommitPlan (1: plans.PostingPlan plan) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    Clock RollbackPlan (1: plans.PostingPlan plan) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    plans.PostingPlan GetPlan (1: string id) throws (1: plans.PlanNotFound ex)
    Account GetAccountByID (1: i64 id) throws (1: plans.AccountNotFound ex)
    Balance GetBalanceByID (1: i64 id, 2: Clock clock) throws (1: plans.AccountNotFound e1, 2: ClockInFuture e2)
    i64 CreateAccount (1: plans.AccountPrototype prototype)
}
