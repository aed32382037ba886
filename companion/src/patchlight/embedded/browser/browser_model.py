"""The exported model folder run by onnxruntime in Python: what the page's worker does, step by step, for tests."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime


class BrowserAnswer(NamedTuple):
    """Greedy answer without its end token: ids and log-probabilities in nats, one a token.

    states [n, d] of every position fed: prompt (what of it was not read before), then each answer token. logits [t, V]
    that chose each token, those that chose the end token included.
    """

    ids: list[int]
    log_probs: list[float]
    states: np.ndarray
    logits: np.ndarray


class Read(NamedTuple):
    """Positions that the decoder has read: keys and values of each layer, their states [n, d], the last's logits [V]."""

    past: list[np.ndarray]
    states: np.ndarray
    logits: np.ndarray


class BrowserModel:
    """All graphs of one folder; `threads` as the page's worker would have."""

    def __init__(self, folder: Path, *, threads: int = 2):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(relative: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(folder / relative, options, providers=["CPUExecutionProvider"])

        graphs, head = self.manifest["graphs"], self.manifest["head"]
        self.vision, self.embed, self.decoder = (session(graphs[name]) for name in ("vision", "embed", "decoder"))
        self.head, self.norm = session(head["graph"]), session(head["normGraph"])

    def image_features(self, image: np.ndarray) -> np.ndarray:
        """[px, px, 3] uint8, already cropped, to [1, P, d]."""
        facts = self.manifest["image"]
        pixels = (image.astype(np.float32) / 255 - np.float32(facts["mean"])) / np.float32(facts["std"])
        [features] = _run(self.vision, {"pixel_values": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
        return features

    def embeddings(self, ids: list[int]) -> np.ndarray:
        """[1, s, d]."""
        [embeds] = _run(self.embed, {"input_ids": np.array([ids], dtype=np.int64)})
        return embeds

    def read(self, embeds: np.ndarray, past: list[np.ndarray] | None = None) -> Read:
        """[1, s, d] after `past`, which is not written to: several continuations may start from one."""
        facts = self.manifest["model"]
        empty = np.zeros((1, facts["kvHeads"], 0, facts["headDim"]), np.float32)
        before = [empty] * (2 * facts["layers"]) if past is None else past
        names = [f"past.{i}.{part}" for i in range(facts["layers"]) for part in ("key", "value")]
        start, count = before[0].shape[2], embeds.shape[1]
        feed = {"inputs_embeds": embeds, "position_ids": np.arange(start, start + count)[None]}
        logits, states, *present = _run(self.decoder, feed | dict(zip(names, before, strict=True)))
        return Read(present, states[0], logits[0])

    def answer(self, features: np.ndarray, before: list[int], after: list[int], *, limit: int) -> BrowserAnswer:
        """Greedy decoding on the merged decoder: the prompt at once with no past, then a token at a time."""
        embeds = np.concatenate([self.embeddings(before), features, self.embeddings(after)], axis=1)
        return self._go_on(self.read(embeds), limit)

    def answer_after(self, prefix: Read, after: list[int], *, limit: int) -> BrowserAnswer:
        """The same where what comes before the question has been read, as the page reads each image once."""
        return self._go_on(self.read(self.embeddings(after), prefix.past), limit)

    def _go_on(self, step: Read, limit: int) -> BrowserAnswer:
        eos = self.manifest["prompt"]["eosTokenId"]
        ids: list[int] = []
        log_probs: list[float] = []
        states, said = [step.states], [step.logits]
        while len(ids) < limit:
            token = int(step.logits.argmax())
            if token == eos:
                break
            ids.append(token)
            log_probs.append(_log_softmax(step.logits, token))
            if len(ids) < limit:
                step = self.read(self.embeddings([token]), step.past)
                states.append(step.states)
                said.append(step.logits)
        return BrowserAnswer(ids, log_probs, np.concatenate(states), np.stack(said))

    def relevancy(self, query_states: np.ndarray, patch_states: np.ndarray) -> np.ndarray:
        """Raw states [T, d] and [P, d] to probabilities [T, P]."""
        [patches] = _run(self.norm, {"patch_states": patch_states})
        [probabilities] = _run(self.head, {"query_states": query_states, "patch_states": patches})
        return probabilities


def _log_softmax(logits: np.ndarray, token: int) -> float:
    shifted = logits.astype(np.float64) - logits.max()
    return float(shifted[token] - np.log(np.exp(shifted).sum()))


class BrowserExplainer:
    """The graphs of the gradient and attention methods of one folder."""

    def __init__(self, folder: Path, *, threads: int = 2):
        self.facts = json.loads((folder / "manifest.json").read_text())["explain"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads

        def session(relative: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(folder / relative, options, providers=["CPUExecutionProvider"])

        self._trace = session(self.facts["trace"])
        self._graphs = {name: session(path) for name, path in self.facts["graphs"].items()}

    def trace(self, embeds: np.ndarray) -> dict[str, np.ndarray]:
        """[n, d] to logits [n, V], states [n, d] and what the methods need, by the graphs' own names."""
        names = [value.name for value in self._trace.get_outputs()]
        return {"x.0": embeds, **dict(zip(names, _run(self._trace, {"x.0": embeds}), strict=True))}

    def explain(self, graph: str, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """A graph's outputs, from those of `given` that it asks for."""
        session = self._graphs[graph]
        return _run(session, {value.name: given[value.name] for value in session.get_inputs()})


def _run(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs; these graphs give dense tensors only."""
    return [np.asarray(output) for output in session.run(None, feed)]
