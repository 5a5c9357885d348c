"""`capgen` without arguments, and what it says about versions."""

from __future__ import annotations

import platform

import pytest

import capgen
from capgen.cli.main import main
from capgen.cli.welcome import NEXT
from capgen.doctor import runtime


def test_without_arguments_it_says_what_to_type_next(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert not err
    lines = out.splitlines()
    assert capgen.__version__ in lines[0]
    assert max(map(len, lines)) <= 80
    for command, effect in NEXT.items():
        assert any(command in line and line.endswith(effect) for line in lines)


def test_what_to_type_next_are_commands():
    named = [command.split()[1] for command in NEXT]
    assert named[0] == "demo" and named[-1] == "--help"
    assert all(main([name, "--help"]) == 0 for name in named[:-1])
    assert {"caption", "review"} <= set(named)


@pytest.mark.parametrize("arguments", [["--log-level", "debug"], ["--log-file", "x.log"]])
def test_options_without_a_command_are_an_error(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "Missing command" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version", "--verbose"], ["--verbose", "--version"]])
def test_the_verbose_version_names_what_captions_depend_on(arguments, capsys):
    assert main(arguments) == 0
    told = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert (told["capgen"], told["Python"]) == (capgen.__version__, platform.python_version())
    assert list(told)[3:] == ["torch", "transformers", "onnxruntime", "pillow"]


def test_verbose_alone_is_an_error_that_says_what_to_use(capsys):
    assert main(["--verbose", "caption", "photo.jpg"]) == 2
    assert "--log-level debug" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("__version__ = '2.15.0+cu132'\ncuda = '13.2'\n", "2.15.0+cu132, built with CUDA 13.2"),
        ("__version__ = '2.15.0'\ncuda = None\nhip = '7.2'\n", "2.15.0, built with ROCm 7.2"),
        ("__version__ = '2.13.0+cpu'\ncuda = None\n", "2.13.0+cpu, built without CUDA"),
        ("import nothing_of_that_name\n", "2.15.0"),
    ],
    ids=["cuda", "rocm", "cpu", "unreadable"],
)
def test_the_build_of_torch_is_read_from_its_files(file, told, tmp_path, monkeypatch):
    (tmp_path / "version.py").write_text(file)
    (tmp_path / "__init__.py").write_text("raise AssertionError('torch is not imported')")
    spec = runtime.find_spec("capgen")
    spec.origin = str(tmp_path / "__init__.py")
    monkeypatch.setattr(runtime, "find_spec", {"torch": spec}.get)
    monkeypatch.setattr(runtime, "installed_version", lambda name: "2.15.0")
    assert runtime.runtime_versions()["torch"] == told


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(runtime, "installed_version", lambda name: None)
    assert runtime.runtime_versions()["torch"] == "not installed"
