"""The state's payment rail: order XML, receipts, opening hours, and its emulator."""
