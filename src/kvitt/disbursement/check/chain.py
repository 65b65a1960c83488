"""The links of an audit chain, made again from the entries themselves (design §11)."""

from kvitt.disbursement.check.report import Findings, Kind
from kvitt.kernel.audit import AuditRow, hash_of


class Chain:
    """Follows one chain entry by entry. After a break it goes on from what is stored, so that one break is reported once."""

    def __init__(self, chain: int, found: Findings) -> None:
        self._chain, self._found = chain, found
        self.seq, self.hash = 0, b""

    def follow(self, entry: AuditRow) -> None:
        """Takes the next entry; notes when one is missing before it, or when it is not what was hashed."""
        if entry.seq != self.seq + 1:
            self._differs(entry.seq, f"follows entry {self.seq}")
        if hash_of(self.hash, entry) != entry.hash:
            self._differs(entry.seq, "has another hash than its content and the entry before give")
        self.seq, self.hash = entry.seq, entry.hash

    def end(self, seq: int, last_hash: bytes) -> None:
        """Compares with the end that is stored beside the chain."""
        if (seq, last_hash) != (self.seq, self.hash):
            self._differs(self.seq, f"is the last one found, where its row names entry {seq}")

    def _differs(self, seq: int, text: str) -> None:
        self._found.differs(Kind.CHAIN, self._chain, seq, text)
