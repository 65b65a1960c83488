// The ledger whose answers carry the new states of the accounts.

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

struct Account {
    1: required i64 id
    2: required i64 own_amount
    3: required i64 max_available_amount
    4: required i64 min_available_amount
    5: required string currency_sym_code
    6: optional string description
    7: optional string creation_time
}

struct PostingPlanLog {
    2: required map<i64, Account> affected_accounts
}

service Accounter {
    PostingPlanLog Hold (1: PostingPlanChange plan_change) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlanLog CommitPlan (1: PostingPlan plan) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlanLog RollbackPlan (1: PostingPlan plan) throws (1: InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlan GetPlan (1: string id) throws (1: PlanNotFound e1)
    Account GetAccountByID (1: i64 id) throws (1: AccountNotFound ex)
    i64 CreateAccount (1: AccountPrototype prototype)
    i64 GetAccountBalance (1: i64 id, 2: string to_time) throws (1: AccountNotFound ex)
    i64 GetAccountBalanceDiff (1: i64 id, 2: string from_time, 3: string to_time) throws (1: AccountNotFound ex)
}
