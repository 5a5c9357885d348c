"""Which signals end a run in good order."""

from __future__ import annotations

import signal

import pytest

from capgen.ending_signals import ending_signals


def test_a_terminal_that_closes_ends_a_run_as_a_supervisor_does():
    assert ending_signals() == [signal.SIGTERM, signal.SIGHUP]


def test_a_run_under_nohup_outlives_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending_signals() == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_windows_has_no_such_signal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(signal, "SIGHUP")
    assert ending_signals() == [signal.SIGTERM]
