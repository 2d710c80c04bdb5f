"""Puts `fakes` where every test can import it, and lets hypothesis take its time: a busy machine fails no test."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
