"""Optional dependencies: which extra of the package installs what a command needs."""

# By the name that they are imported by. Each command says which extra it needs.
OPTIONAL = frozenset(
    {
        "PIL",
        "accelerate",
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
    """One line for the user; None if it is not an optional dependency that is missing."""
    if extra is None or error.name not in OPTIONAL:
        return None
    return f'"{command}" needs {error.name}, which is not installed. Install it with: pip install "patchlight[{extra}]"'
