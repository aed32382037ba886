"""The `patchlight` program. `main` parses the command line; each command is a module, which imports heavy packages only
when it runs.
"""
