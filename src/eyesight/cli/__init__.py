"""The command line: parse, one call, print. Commands are a file each; nothing imports this package."""

from .app import main as main
