"""`python -m capgen`."""

from capgen.cli.main import run

if __name__ == "__main__":
    run()
