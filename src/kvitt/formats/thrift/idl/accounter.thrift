// The ledger whose answers carry the new states of the accounts.

include "plans.thrift"
include "refusals.thrift"

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
    PostingPlanLog Hold (1: plans.PostingPlanChange plan_change) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlanLog CommitPlan (1: plans.PostingPlan plan) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    PostingPlanLog RollbackPlan (1: plans.PostingPlan plan) throws (1: plans.InvalidPostingParams e1, 2: refusals.InvalidRequest e2)
    plans.PostingPlan GetPlan (1: string id) throws (1: plans.PlanNotFound e1)
    Account GetAccountByID (1: i64 id) throws (1: plans.AccountNotFound ex)
    i64 CreateAccount (1: plans.AccountPrototype prototype)
    i64 GetAccountBalance (1: i64 id, 2: string to_time) throws (1: plans.AccountNotFound ex)
    i64 GetAccountBalanceDiff (1: i64 id, 2: string from_time, 3: string to_time) throws (1: plans.AccountNotFound ex)
}
