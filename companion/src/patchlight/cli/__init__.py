"""The `patchlight` program. `main` parses the command line; each command is a module that imports heavy packages only
when the command runs.
"""
