"""Assay: a laboratory for test-time compute in execution-grounded code generation."""

__version__ = "0.1.0"
