"""Find everything in a data set that spoils training or scores, and write a clean copy."""

from __future__ import annotations

from capgen.data.checks.check import Diagnosis, diagnose
from capgen.data.checks.fix import Fixed, write_fixed

__all__ = ["Diagnosis", "Fixed", "diagnose", "write_fixed"]
