"""The forms in which damaged receipts have been seen, on purpose (helved §4.4–§4.5, rapid §3.3, iverksetting §1.11)."""

import re
from collections.abc import Callable
from enum import Enum

from kvitt.rails.oppdrag.emulator.reading import NAMESPACE, ROOT_START

_END_TAG = re.compile(rb"</(?:[A-Za-z_][\w.\-]*:)?oppdrag\s*>\s*\Z", re.IGNORECASE)
_LEAF = re.compile(rb">([^<>]*[^<>\s][^<>]*)</")
_MMEL = re.compile(rb"(<mmel[^>]*>).*?</mmel>", re.DOTALL)


class DamageForm(Enum):
    """One way to damage a receipt."""

    DEFAULT_NAMESPACE = "default_namespace"
    OTHER_PREFIX = "other_prefix"
    ROOT_CASE = "root_case"
    MISSING_END = "missing_end"
    TRAILING_BLANKS = "trailing_blanks"
    PADDED_SEVERITY = "padded_severity"
    PADDED_TEXT = "padded_text"
    BARE_ANSWER = "bare_answer"
    TRUNCATED = "truncated"


def damage(receipt: bytes, form: DamageForm) -> bytes:
    """The receipt in that form; one that has no root to change comes back as it is."""
    return _FORMS[form](receipt)


def _default_namespace(receipt: bytes) -> bytes:
    return _new_root(receipt, b"oppdrag", f'xmlns="{NAMESPACE}"'.encode())


def _other_prefix(receipt: bytes) -> bytes:
    return _new_root(receipt, b"ns6:oppdrag", f'xmlns:ns6="{NAMESPACE}"'.encode())


def _root_case(receipt: bytes) -> bytes:
    """The root's local name with a capital letter, in both tags; its prefix and namespace stay."""
    start = ROOT_START.match(receipt)
    if start is None:
        return receipt
    head = re.sub(rb"oppdrag(?=[\s>])", b"Oppdrag", start.group(0), flags=re.IGNORECASE)
    return _END_TAG.sub(lambda end: re.sub(rb"oppdrag", b"Oppdrag", end.group(0), flags=re.IGNORECASE), head + receipt[start.end() :])


def _missing_end(receipt: bytes) -> bytes:
    return _END_TAG.sub(b"", receipt)


def _trailing_blanks(receipt: bytes) -> bytes:
    return _LEAF.sub(rb">\1   </", receipt) + b"   \n  "


def _padded_severity(receipt: bytes) -> bytes:
    return re.sub(rb"(<alvorlighetsgrad>\d+)<", rb"\1 <", receipt)


def _padded_text(receipt: bytes) -> bytes:
    return re.sub(rb"(<beskrMelding>[^<]*)<", rb"\1          <", receipt)


def _bare_answer(receipt: bytes) -> bytes:
    """An mmel that holds the severity and nothing else."""
    severity = re.search(rb"<alvorlighetsgrad>[^<]*</alvorlighetsgrad>", receipt)
    return receipt if severity is None else _MMEL.sub(lambda found: found.group(1) + severity.group(0) + b"</mmel>", receipt, count=1)


def _truncated(receipt: bytes) -> bytes:
    return receipt[: len(receipt) * 2 // 3]


def _new_root(receipt: bytes, name: bytes, declaration: bytes) -> bytes:
    """The receipt with another root tag, nothing below it changed."""
    start = ROOT_START.match(receipt)
    if start is None:
        return receipt
    prolog = receipt[: start.end()].rpartition(b"<")[0]
    root = b"<" + name + b" " + declaration + b">"
    return prolog + root + _END_TAG.sub(b"</" + name + b">", receipt[start.end() :])


_FORMS: dict[DamageForm, Callable[[bytes], bytes]] = {
    DamageForm.DEFAULT_NAMESPACE: _default_namespace,
    DamageForm.OTHER_PREFIX: _other_prefix,
    DamageForm.ROOT_CASE: _root_case,
    DamageForm.MISSING_END: _missing_end,
    DamageForm.TRAILING_BLANKS: _trailing_blanks,
    DamageForm.PADDED_SEVERITY: _padded_severity,
    DamageForm.PADDED_TEXT: _padded_text,
    DamageForm.BARE_ANSWER: _bare_answer,
    DamageForm.TRUNCATED: _truncated,
}
