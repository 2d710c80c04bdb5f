"""Puts `fakes` where every test can import it."""
