"""Runs the exported model folder with onnxruntime in Python, following the steps of the page's worker."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime

from ...head.folded import BLOB_FILE


class BrowserAnswer(NamedTuple):
    """A greedy answer without its end token: one id and one log-probability (nats) per token.

    states [n, d]: states of all processed positions, first the prompt (without any prefix that was read earlier), then
    the answer tokens. logits [t, V]: the logits that each token, including the end token, was chosen from.
    """

    ids: list[int]
    log_probs: list[float]
    states: np.ndarray
    logits: np.ndarray


class DecoderState(NamedTuple):
    """The decoder after reading some positions.

    past: keys and values per layer, for all positions so far. states [n, d]: states of the positions read last. logits
    [V]: the logits at the last position. attention [L, h, n]: its attention over all positions so far; None if the
    decoder was exported before it had this output.
    """

    past: list[np.ndarray]
    states: np.ndarray
    logits: np.ndarray
    attention: np.ndarray | None


class BrowserModel:
    """The graphs that answer questions, and the head, loaded from a model folder. threads: number of threads per
    session.
    """

    def __init__(self, folder: Path, *, threads: int = 2):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(relative: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(folder / relative, options, providers=["CPUExecutionProvider"])

        graphs, head = self.manifest["graphs"], self.manifest["head"]
        self.vision, self.embed, self.decoder = (session(graphs[name]) for name in ("vision", "embed", "decoder"))
        self.head, self.norm = session(head["graph"]), session(head["normGraph"])
        self.text_head = None
        if "textWeights" in head:
            self.text_head = _with_weights(folder / head["graph"], folder / head["textWeights"], options)

    def image_features(self, image: np.ndarray) -> np.ndarray:
        """Encode a cropped image [px, px, 3] uint8 to projected features [1, P, d]."""
        facts = self.manifest["image"]
        pixels = (image.astype(np.float32) / 255 - np.float32(facts["mean"])) / np.float32(facts["std"])
        [features] = _run(self.vision, {"pixel_values": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
        return features

    def embeddings(self, ids: list[int]) -> np.ndarray:
        """Return the embeddings of s token ids, [1, s, d]."""
        [embeds] = _run(self.embed, {"input_ids": np.array([ids], dtype=np.int64)})
        return embeds

    def read(self, embeds: np.ndarray, past: list[np.ndarray] | None = None) -> DecoderState:
        """Read embeddings [1, s, d] after `past`. Does not modify `past`, so several continuations can share it."""
        facts = self.manifest["model"]
        empty = np.zeros((1, facts["kvHeads"], 0, facts["headDim"]), np.float32)
        before = [empty] * (2 * facts["layers"]) if past is None else past
        names = [f"past.{i}.{part}" for i in range(facts["layers"]) for part in ("key", "value")]
        start, count = before[0].shape[2], embeds.shape[1]
        feed = {"inputs_embeds": embeds, "position_ids": np.arange(start, start + count)[None]}
        logits, states, *rest = _run(self.decoder, feed | dict(zip(names, before, strict=True)))
        present, attention = rest[: len(names)], rest[len(names) :]
        return DecoderState(present, states[0], logits[0], attention[0] if attention else None)

    def answer(self, features: np.ndarray, before: list[int], after: list[int], *, limit: int) -> BrowserAnswer:
        """Decode greedily: the complete prompt at once, then one token at a time. limit: maximum number of tokens."""
        embeds = np.concatenate([self.embeddings(before), features, self.embeddings(after)], axis=1)
        return self._continue(self.read(embeds), limit)

    def answer_after(self, prefix: DecoderState, after: list[int], *, limit: int) -> BrowserAnswer:
        """Decode greedily after a prefix that was read earlier. The page does the same, so it reads each image only
        once.
        """
        return self._continue(self.read(self.embeddings(after), prefix.past), limit)

    def _continue(self, step: DecoderState, limit: int) -> BrowserAnswer:
        eos = self.manifest["prompt"]["eosTokenId"]
        ids: list[int] = []
        log_probs: list[float] = []
        states, logits = [step.states], [step.logits]
        while len(ids) < limit:
            token = int(step.logits.argmax())
            if token == eos:
                break
            ids.append(token)
            log_probs.append(_log_softmax(step.logits, token))
            if len(ids) < limit:
                step = self.read(self.embeddings([token]), step.past)
                states.append(step.states)
                logits.append(step.logits)
        return BrowserAnswer(ids, log_probs, np.concatenate(states), np.stack(logits))

    def relevancy(self, query_states: np.ndarray, patch_states: np.ndarray) -> np.ndarray:
        """Compute the head's probabilities [T, P] from raw states [T, d] and [P, d]."""
        return self._maps(self.head, query_states, patch_states)

    def text_relevancy(self, query_states: np.ndarray, prompt_states: np.ndarray) -> np.ndarray:
        """Compute the text output's probabilities [T, m] from raw states [T, d] and [m, d]. Raises ValueError if the
        head has none.
        """
        if self.text_head is None:
            raise ValueError(f"the head of {self.manifest['name']} has no text output")
        return self._maps(self.text_head, query_states, prompt_states)

    def _maps(self, head: onnxruntime.InferenceSession, query_states: np.ndarray, states: np.ndarray) -> np.ndarray:
        [normalised] = _run(self.norm, {"patch_states": states})
        [probabilities] = _run(head, {"query_states": query_states, "patch_states": normalised})
        return probabilities


def _with_weights(graph: Path, weights: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """Load a head's graph with the weights of another output in place of those that it names."""
    content = weights.read_bytes()
    options.add_external_initializers_from_files_in_memory([BLOB_FILE], [content], [len(content)])
    return onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])


def _log_softmax(logits: np.ndarray, token: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token] - np.log(np.exp(shifted).sum()))


class BrowserExplainer:
    """The graphs of the gradient and attention methods, loaded from a model folder."""

    def __init__(self, folder: Path, *, threads: int = 2):
        self.facts = json.loads((folder / "manifest.json").read_text())["explain"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(relative: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(folder / relative, options, providers=["CPUExecutionProvider"])

        self._trace = session(self.facts["trace"])
        self._graphs = {name: session(path) for name, path in self.facts["graphs"].items()}

    def trace(self, embeds: np.ndarray) -> dict[str, np.ndarray]:
        """Trace embeddings [n, d]; returns logits [n, V], states [n, d] and the methods' inputs by name."""
        names = [value.name for value in self._trace.get_outputs()]
        return {"x.0": embeds, **dict(zip(names, _run(self._trace, {"x.0": embeds}), strict=True))}

    def explain(self, graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run a graph on its inputs, which are picked from `inputs` by name, and return its outputs."""
        session = self._graphs[graph]
        return _run(session, {value.name: inputs[value.name] for value in session.get_inputs()})


def _run(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return all outputs, which are always dense tensors."""
    return [np.asarray(output) for output in session.run(None, feed)]
