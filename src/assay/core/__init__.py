"""Layer 0: the records, protocols, ledger and errors that every other layer speaks in."""
