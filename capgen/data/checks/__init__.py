"""Examine a data set for everything that spoils training or scores, and write a clean copy."""

from __future__ import annotations

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.checks.fix import Fixed, fixed_path, write_fixed

__all__ = ["Diagnosis", "Fixed", "diagnose", "fixed_path", "write_fixed"]
