"""The `patchlight` command. `main` parses the command line; each command has a module of its own, which imports what
is heavy only when it runs.
"""
