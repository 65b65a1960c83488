"""The benefit groups of areas, and the class codes by which each keeps recoveries and adjustments (helved §4.8)."""

from kvitt.rails.oppdrag.emulator.reckoning import AccountCodes

COUNTER_CLASS = "TBMOTOBS"
SUPPLEMENTS, WORK, INCOME = "ARBTIL", "ARBYT", "INNT"
_SUPPLEMENTARY = ("TILLST", "TSTARENA", "MTSTAREN")
_SICKNESS = ("SP", "SPREF")
_ACCOUNTS = {
    SUPPLEMENTS: AccountCodes("KL_KODE_FEIL_TILLST", COUNTER_CLASS, "KL_KODE_JUST_TILLST"),
    WORK: AccountCodes("KL_KODE_FEIL_ARBYT", COUNTER_CLASS, "KL_KODE_JUST_ARBYT"),
    INCOME: AccountCodes("KL_KODE_FEIL", COUNTER_CLASS, "KL_KODE_JUST_ARBYT"),
}
RECOVERY_ACCOUNTS = {SUPPLEMENTS: "0630986", WORK: "0630981", INCOME: "0630981"}
COUNTER_ACCOUNT, ADJUSTMENT_ACCOUNT, TAX_ACCOUNT = "0902900", "0630998", "0510000"
PAY_ACCOUNT, DEDUCTION_ACCOUNT = "4510000", "0880000"


def group_of(area: str) -> str:
    """The benefit group in which the rail reckons an area: cases of one person in one group come in one answer."""
    if area.startswith(_SUPPLEMENTARY):
        return SUPPLEMENTS
    return INCOME if area in _SICKNESS else WORK


def account_codes(area: str) -> AccountCodes:
    """The class codes of an area's recoveries and adjustments."""
    return _ACCOUNTS[group_of(area)]
