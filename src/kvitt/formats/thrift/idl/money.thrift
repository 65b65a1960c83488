// Amounts and the cash flow of a payout, as they are on the wire.

struct CurrencyRef {
    1: required string symbolic_code
}

struct Cash {
    1: required i64 amount
    2: required CurrencyRef currency
}

enum MerchantCashFlowAccount { settlement = 0, guarantee = 1, payout = 2 }
enum ProviderCashFlowAccount { settlement = 0 }
enum SystemCashFlowAccount { settlement = 0, subagent = 1 }
enum ExternalCashFlowAccount { income = 0, outcome = 1 }
enum WalletCashFlowAccount { sender_source = 0, sender_settlement = 1, receiver_settlement = 2, receiver_destination = 3 }

union CashFlowAccount {
    1: MerchantCashFlowAccount merchant
    2: ProviderCashFlowAccount provider
    3: SystemCashFlowAccount system
    4: ExternalCashFlowAccount external
    5: WalletCashFlowAccount wallet
}

struct FinalCashFlowAccount {
    1: required CashFlowAccount account_type
    2: required i64 account_id
}

struct FinalCashFlowPosting {
    1: required FinalCashFlowAccount source
    2: required FinalCashFlowAccount destination
    3: required Cash volume
    4: optional string details
}
