// The ledger whose answers carry a clock; balances are asked for separately.

include "refusals.thrift"

struct AccountPrototype {
    1: required string currency_sym_code
    2: optional string description
    3: optional string creation_time
}

struct Posting {
    1: required i64 from_id
    2: required i64 to_id
    3: required i64 amount
    4: required string currency_sym_code
    5: required string description
}

struct PostingBatch {
    1: required i64 id
    2: required list<Posting> postings
}

struct PostingPlan {
    1: required string id
    2: required list<PostingBatch> batch_list
}

struct PostingPlanChange {
    1: required string id
    2: required PostingBatch batch
}

exception AccountNotFound {
    1: required i64 account_id
}

exception PlanNotFound {
    1: required string plan_id
}

exception InvalidPostingParams {
    1: required map<Posting, string> wrong_postings
}

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
    Clock Hold (1: PostingPlanChange plan_change) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    Clock CommitPlan (1: PostingPlan plan) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    Clock RollbackPlan (1: PostingPlan plan) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlan GetPlan (1: string id) throws (1: PlanNotFound ex)
    Account GetAccountByID (1: i64 id) throws (1: AccountNotFound ex)
    Balance GetBalanceByID (1: i64 id, 2: Clock clock) throws (1: AccountNotFound e1, 2: ClockInFuture e2)
    i64 CreateAccount (1: AccountPrototype prototype)
}
