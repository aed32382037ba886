"""Tells users which package extra installs a command's optional dependencies."""

# Import names of the optional dependencies.
OPTIONAL = frozenset(
    {
        "PIL",
        "accelerate",
        "filelock",
        "multipart",
        "numba",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "python_multipart",
        "safetensors",
        "scipy",
        "tokenizers",
        "torch",
        "tqdm",
        "transformers",
    }
)


def what_to_install(command: str, extra: str | None, error: ModuleNotFoundError) -> str | None:
    """Return advice for the user, or None if the missing module is not an optional dependency."""
    if extra is None or error.name not in OPTIONAL:
        return None
    return f'"{command}" needs {error.name}, which is not installed. Install it with: pip install "patchlight[{extra}]"'
