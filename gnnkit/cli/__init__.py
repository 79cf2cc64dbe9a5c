"""The command line: a verb parses its options and calls one library function."""

from gnnkit.cli.command import app, main

__all__ = ["app", "main"]
