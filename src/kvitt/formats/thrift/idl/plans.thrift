// What both ledgers take, and what they refuse it with.

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
