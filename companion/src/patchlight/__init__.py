"""Patchlight's companion: what must live where vision-language models live."""
