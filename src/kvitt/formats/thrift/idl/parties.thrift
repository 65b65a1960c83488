// The part of PartyManagement that payouts need: a party with its shops, contracts and payout tools, and the cash flow of a payout.

include "money.thrift"

struct Blocked { 1: required string reason  2: required string since }
union Blocking { 1: Blocked unblocked  2: Blocked blocked }
struct Suspended { 1: required string since }
union Suspension { 1: Suspended active  2: Suspended suspended }
struct Nothing {}

struct PartyContactInfo { 1: required string email }
struct CategoryRef { 1: required i32 id }
struct TermSetHierarchyRef { 1: required i32 id }
struct BusinessScheduleRef { 1: required i32 id }
struct PaymentInstitutionRef { 1: required i32 id }
struct ShopDetails { 1: required string name  2: optional string description }
union ShopLocation { 1: string url }

struct ShopAccount {
    1: required money.CurrencyRef currency
    2: required i64 settlement
    3: required i64 guarantee
    4: required i64 payout
}

struct Shop {
    1: required string id
    2: required Blocking blocking
    3: required Suspension suspension
    4: required ShopDetails details
    5: required CategoryRef category
    6: optional ShopAccount account
    7: required string contract_id
    8: optional string payout_tool_id
    10: required ShopLocation location
    11: required string created_at
    12: optional BusinessScheduleRef payout_schedule
}

struct Terminated { 1: required string terminated_at }
union ContractStatus { 1: Nothing active  2: Terminated terminated  3: Nothing expired }
struct LegalAgreement { 1: required string signed_at  2: required string legal_agreement_id  3: optional string valid_until }

struct ContractAdjustment {
    1: required string id
    2: optional string valid_since
    3: optional string valid_until
    4: required TermSetHierarchyRef terms
    5: required string created_at
}

struct RussianBankAccount {
    1: required string account
    2: required string bank_name
    3: required string bank_post_account
    4: required string bank_bik
}

struct WalletInfo { 1: required string wallet_id }

// The country is an enum of all countries; as a number it may be one that is newer than this file.
struct InternationalBankDetails {
    1: optional string bic
    2: optional i32 country
    3: optional string name
    4: optional string address
    5: optional string aba_rtn
}

// An InternationalBankAccount too. A struct of its own, so that none holds itself; what its banks correspond with in turn is skipped.
struct CorrespondentAccount {
    1: optional string account_holder
    4: optional string iban
    6: optional string number
    7: optional InternationalBankDetails bank
}

struct InternationalBankAccount {
    1: optional string account_holder
    4: optional string iban
    6: optional string number
    7: optional InternationalBankDetails bank
    8: optional CorrespondentAccount correspondent_account
}

union PayoutToolInfo {
    1: RussianBankAccount russian_bank_account
    2: InternationalBankAccount international_bank_account
    3: WalletInfo wallet_info
    4: Nothing payment_institution_account
}

struct PayoutTool {
    1: required string id
    2: required money.CurrencyRef currency
    3: required PayoutToolInfo payout_tool_info
    4: required string created_at
}

// Fields 3 (the contractor as it was given before field 14) and 13 (preferences of reports) are skipped.
struct Contract {
    1: required string id
    4: optional string valid_since
    5: optional string valid_until
    6: required ContractStatus status
    7: required TermSetHierarchyRef terms
    8: required list<ContractAdjustment> adjustments
    9: required list<PayoutTool> payout_tools
    10: optional LegalAgreement legal_agreement
    11: required string created_at
    12: optional PaymentInstitutionRef payment_institution
    14: optional string contractor_id
}

// Of contractors nothing is read; their fields are skipped.
struct PartyContractor {}

struct WalletAccount {
    1: required money.CurrencyRef currency
    2: required i64 settlement
    3: required i64 payout
}

struct Wallet {
    1: required string id
    2: optional string name
    3: required string created_at
    4: required Blocking blocking
    5: required Suspension suspension
    6: required string contract
    7: optional WalletAccount account
}

struct Party {
    1: required string id
    2: required Blocking blocking
    3: required Suspension suspension
    4: required map<string, Contract> contracts
    5: required map<string, Shop> shops
    6: required i64 revision
    7: required PartyContactInfo contact_info
    8: required string created_at
    9: required map<string, PartyContractor> contractors
    10: required map<string, Wallet> wallets
}

union UserType { 1: Nothing internal_user  2: Nothing external_user  3: Nothing service_user }
struct UserInfo { 1: required string id  2: required UserType type }

struct PayoutParams {
    1: required string id
    2: required money.Cash amount
    3: required string timestamp
    4: optional string payout_tool_id
}

exception InvalidUser {}
exception PartyNotFound {}
exception PartyNotExistsYet {}
exception ShopNotFound {}
exception OperationNotPermitted {}
exception PayoutToolNotFound {}

service PartyManagement {
    Party Get (1: UserInfo user, 2: string party_id) throws (1: InvalidUser ex1, 2: PartyNotFound ex2)
    list<money.FinalCashFlowPosting> ComputePayoutCashFlow (1: UserInfo user, 2: string party_id, 3: PayoutParams params)
        throws (1: InvalidUser ex1, 2: PartyNotFound ex2, 3: PartyNotExistsYet ex3, 4: ShopNotFound ex4,
                5: OperationNotPermitted ex5, 6: PayoutToolNotFound ex6)
}
