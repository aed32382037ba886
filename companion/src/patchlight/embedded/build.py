"""A build of the page's model: its folders, and the steps from rendered scenes to recorded runs."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import torch
from transformers import AutoTokenizer, LlavaForConditionalGeneration

from ..calibration.file import CalibrationFacts
from ..head.fastrm import TEXT_FOLDER, FastRM, HeadFacts, read_text_head
from ..head.label_precision import multiplies_bfloat16_faster
from ..head.labels import TEACHERS
from ..head.sample_store import HeadSamples
from ..head.training import CONFIG_FILE, train_head
from ..head.work_folder import MANIFEST_FILE, read_manifest
from ..models.model_files import folder_revision, weight_files, weights_identity
from ..report import figure, write_report
from .browser.browser_model import BrowserModel
from .browser.explain_export import export_explain_graphs
from .browser.explain_parity import check_explain_parity
from .browser.export import export_browser_model
from .browser.parity import check_parity
from .build_size import Size
from .calibration.answer_scenes import SPLIT, answer_scenes, read_scenes
from .calibration.check import check_answers, check_figures
from .calibration.folder import SUMMARY_FILE, calibration_rows, renew_summary, write_folder
from .calibration.question_sets import SET_MEANINGS, SETS
from .card import CARD_FILE, update_figures, write_card
from .collect import CollectConfig, collect
from .evaluate import COMMAND, evaluate_answers, exact_by_kind
from .evaluate_heads import evaluate_heads
from .evaluate_text import evaluate_text
from .held_out import question_kinds, read_held_out
from .page_samples import write_samples
from .training.depth import deepened
from .training.llava_parts import text_config
from .training.model import PROMPT, build_model, load_model, save_model
from .training.packing import PATCHES
from .training.stages import StageConfig, train_stage
from .training.supervision import AlignmentHead
from .training.vocabulary import build_tokenizer
from .world.pool import ScenePool
from .world.questions import KINDS, ask
from .world.render import render_seed
from .world.scenes import split_seed

NAME = "patchlight-scenes"
KNOWS = (
    "This tiny model knows rendered spheres, cubes and cylinders only. For photographs, use your own model. It was "
    "trained from scratch on scenes with eight colours, two sizes and two materials; it answers what, where, how many "
    "and yes/no questions, and describes a scene."
)
STEPS = (
    "scenes",
    "align",
    "easy",
    "answer",
    "whole",
    "long",
    "finish",
    "model",
    "answers",
    "samples",
    "heads",
    "head-report",
    "text",
    "text-report",
    "export",
    "explain",
    "calibration",
    "calibration-report",
    "card",
    "runs",
)


class Build:
    """The folders and the ordered steps of one build; each step can also run alone."""

    def __init__(self, work: Path, hf: Path, out: Path, samples: Path, dataset: Path, size: Size, workers: int):
        self.work, self.hf, self.out, self.sample_folder, self.dataset = work, hf, out, samples, dataset
        self.size, self.workers = size, workers
        self.head_folder, self.report = hf / "fastrm", out / "report"
        self.tokenizer = build_tokenizer()

    def run(self, only: list[str] | None) -> None:
        steps: dict[str, Callable[[], None]] = {
            "scenes": self.scenes,
            "align": lambda: self.train("align"),
            "easy": lambda: self.train("easy"),
            "answer": lambda: self.train("answer"),
            "whole": lambda: self.train("whole"),
            "long": lambda: self.train("long"),
            "finish": lambda: self.train("finish"),
            "model": self.model,
            "answers": self.answers,
            "samples": self.samples,
            "heads": self.heads,
            "head-report": self.head_report,
            "text": self.text,
            "text-report": self.text_report,
            "export": self.export,
            "explain": self.explain,
            "calibration": self.calibration,
            "calibration-report": self.calibration_report,
            "card": self.card,
            "runs": self.runs,
        }
        for name in only or STEPS:
            print(f"== {name}", flush=True)
            started = time.perf_counter()
            steps[name]()
            print(f"   {name} took {time.perf_counter() - started:.1f} s", flush=True)

    def pool(self, split: str) -> ScenePool:
        counts = {
            "train": self.size.train_scenes,
            "validation": self.size.validation_scenes,
            "test": self.size.test_scenes,
            "final": self.size.test_scenes,
        }
        return ScenePool(self.work / "scenes", split, counts[split])

    def untrained(self, stage: StageConfig | None = None) -> LlavaForConditionalGeneration:
        """Build a model of a stage's depth, by default the last one's, with random weights."""
        stage = stage or self.size.stages[-1]
        return build_model(self.tokenizer, vision_layers=stage.vision_layers, text_layers=stage.text_layers)

    def scenes(self) -> None:
        for split in ("train", "validation", "test", "final"):
            self.pool(split).fill(workers=self.workers)

    def train(self, name: str) -> None:
        """Train one stage, starting from the previous stage's weights."""
        place = [stage.name for stage in self.size.stages].index(name)
        stage = self.size.stages[place]
        model, head = self.untrained(stage), AlignmentHead(192, self.tokenizer)
        if place:
            file = self.work / "training" / f"{self.size.stages[place - 1].name}.pt"
            before = torch.load(file, weights_only=True, map_location="cpu")
            model.load_state_dict(deepened(before["model"], model))
            head.load_state_dict(before["head"])
        device = "cuda" if torch.cuda.is_available() else "cpu"
        trained_now = train_stage(
            model,
            head,
            self.tokenizer,
            self.pool("train"),
            stage,
            self.work / "training",
            device=device,
        )
        validation = self.work / "training" / f"{name}.validation.json"
        if not trained_now and validation.exists():
            return
        trained = self.untrained(stage)  # a copy, because the compiled model would be recompiled for other shapes
        trained.load_state_dict(model.state_dict())
        torch.nn.Module.to(trained, device)
        exact = exact_by_kind(trained, self.pool("validation"), self.tokenizer, device=device)
        print(exact)
        validation.write_text(json.dumps(exact, indent=1))

    def trained(self) -> tuple[StageConfig, ...]:
        """Return the stages that were run. They differ from `self.size.stages` if the build was resumed with another
        size.
        """
        files = [self.work / "training" / f"{stage.name}.config.json" for stage in self.size.stages]
        return tuple(StageConfig(**json.loads(file.read_text())) for file in files)

    def model(self) -> None:
        """Save the last stage's weights in the standard Hugging Face layout."""
        model = self.untrained()
        last = torch.load(
            self.work / "training" / f"{self.size.stages[-1].name}.pt", weights_only=True, map_location="cpu"
        )
        model.load_state_dict(last["model"])
        save_model(model.eval(), self.hf)

    def loaded(self) -> LlavaForConditionalGeneration:
        return load_model(self.hf)

    def answers(self) -> None:
        result = evaluate_answers(
            self.loaded(),
            self.hf,
            self.pool("final"),
            self.report,
            questions=self.size.questions,
            descriptions=self.size.descriptions,
        )
        print(json.dumps(result, indent=1))

    def samples(self) -> None:
        """Collect samples from the training scenes, and held-out samples: to choose a threshold on, and to report on."""
        size = self.size
        samples = CollectConfig("train", 0, size.collected_scenes, max_answer_tokens=size.answer_tokens)
        held_out = replace(samples, split="test", scenes=size.held_out_scenes, seed=12)
        final = replace(held_out, split="final")
        for folder, config in (("final", final), ("held-out", held_out), ("samples", samples)):
            config = replace(config, autocast=self.labels_in_bfloat16(folder))
            collect(self.hf, self.work / "scenes", self.work / folder, config, workers=self.workers)

    def labels_in_bfloat16(self, folder: str) -> bool:
        """Whether a folder's samples are labelled in bfloat16: as they were begun, else where the CPU is faster with
        it.
        """
        if (self.work / folder / MANIFEST_FILE).exists():
            return read_manifest(self.work / folder)["autocast"]
        return multiplies_bfloat16_faster(torch.device("cpu"))

    def collected(self, folder: str) -> Path:
        """Return a folder of samples. Raises ValueError if they are of another model, such as an earlier build's."""
        path = self.work / folder
        collected, current = read_manifest(path)["modelRevision"], folder_revision(self.hf)
        if collected != current:
            raise ValueError(
                f"{path} holds samples of another model (revision {collected}; {self.hf} is {current}): delete the "
                "folder, then run the step `samples` again"
            )
        return path

    def heads(self) -> None:
        """Train the heads. Removes the main one's text output, which belongs to the previous head."""
        for method, recipe in self.size.heads.items():
            train_head(
                self.collected("samples"),
                self.hf / method,
                replace(self.head_facts(), name=method),
                recipe,
                overwrite=True,
                keep_failed=self.size.head_may_fail,
            )

    def head_facts(self) -> HeadFacts:
        return HeadFacts(
            hidden_size=text_config(self.loaded()).hidden_size,
            stage="post_norm",
            teacher=TEACHERS["chefer"],
            labelling_threshold=self.size.heads["fastrm"].labelling_threshold,
            classification_threshold=0.4,
            model=NAME,
            model_revision=revision(self.hf),
            model_weights=weights_identity(weight_files(self.hf)),
            label_precision="bfloat16" if self.labels_in_bfloat16("samples") else "float32",
        )

    def text(self) -> None:
        """Train the head's text output on the same samples."""
        train_head(
            HeadSamples(self.collected("samples"), output="text"),
            self.head_folder / TEXT_FOLDER,
            self.head_facts(),
            self.size.text,
            choose_threshold=True,
            overwrite=True,
            keep_failed=self.size.head_may_fail,
        )

    def text_report(self) -> None:
        text = read_text_head(self.head_folder)
        assert text is not None
        evaluate_text(text, self.collected("final"), self.collected("samples"), self.report)

    def head_report(self) -> None:
        """Compare the heads with their teacher, and store their best thresholds."""
        heads = {method: FastRM.from_pretrained(self.hf / method, attention=True) for method in self.size.heads}
        choice = read_held_out(self.collected("held-out"), self.pool("test"))
        final = self.collected("final")
        best = evaluate_heads(
            heads,
            choice,
            read_held_out(final, self.pool("final")),
            question_kinds(final, self.pool("final")),
            self.report,
            labelling_threshold=heads["fastrm"].facts.labelling_threshold,
        )
        for method, head in heads.items():
            head.save_pretrained(self.hf / method, replace(head.facts, classification_threshold=best[method]))

    def export(self) -> None:
        training = {
            stage.name: {"steps": stage.steps, "images": stage.steps * stage.batch_images} for stage in self.trained()
        }
        training["head"] = json.loads((self.head_folder / CONFIG_FILE).read_text())
        training["text"] = json.loads((self.head_folder / TEXT_FOLDER / CONFIG_FILE).read_text())
        export_browser_model(self.hf, self.head_folder, self.out, name=NAME, knows=KNOWS, training=training)
        self.parity()

    def explain(self) -> None:
        """Export the gradient and attention methods and compare them with autograd on questions about unseen scenes."""
        export_explain_graphs(self.hf, self.out)
        samples = []
        for k in range(self.size.explained_questions):
            scene, rendered = render_seed(split_seed("test", k))
            samples.append((rendered.image, ask(scene, Random(k), KINDS[k % len(KINDS)]).text))
        print(check_explain_parity(self.hf, self.out, samples, limit=self.size.answer_tokens))
        self.renew_card()

    def parity(self) -> None:
        """Compare the exported graphs with PyTorch on questions about unseen scenes."""
        pool = self.pool("test")
        samples = []
        for k in range(self.size.parity_questions):
            item, random = pool[k % len(pool)], Random(k)
            kind = KINDS[k % len(KINDS)]
            samples.append((item.image, ask(item.scene, random, kind).text))
        parity = check_parity(self.hf, self.head_folder, self.out, samples)
        print(parity)

    def renew_card(self) -> None:
        """Update the figures in an existing card from an earlier build. The `card` step writes a new card."""
        if (self.out / CARD_FILE).exists():
            update_figures(self.out, [self.dataset / SUMMARY_FILE])

    def weigh(self) -> None:
        """Report the total size of the files that the page can load."""
        size = sum(f.stat().st_size for f in self.out.rglob("*") if f.is_file() and "report" not in f.parts)
        write_report(
            self.report,
            "size",
            "Size of the browser model's folder",
            COMMAND.format(step="card"),
            [figure("total size", size / 1e6, unit="MB", goal="<= 40")],
        )

    def card(self) -> None:
        """Write the model card, which states where this build falls short of a full build.

        Includes `training/history.md`, which describes manual changes to the build, if the working folder contains it.
        """
        self.weigh()
        training: Mapping[str, Mapping[str, float]] = json.loads((self.out / "manifest.json").read_text())["training"]
        history = self.work / "training" / "history.md"
        run, whole = self.trained(), self.size.stages
        short = [
            f"{a.steps} of {b.steps} `{b.name}` steps" for a, b in zip(run, whole, strict=True) if a.steps < b.steps
        ]
        if training["head"]["tokens"] < 100_000:
            short.append(f"{training['head']['tokens']} of 100000 explained tokens")
        for name, label, expected in (
            ("answers", "questions", self.size.questions),
            ("parity", "questions", self.size.parity_questions),
            ("explain", "questions", self.size.explained_questions),
        ):
            figures = json.loads((self.report / f"{name}.json").read_text())["figures"]
            count = int(next(f["value"] for f in figures if f["label"] == label))
            if count < expected:
                short.append(f"{count} of {expected} questions for the {name} table")
        write_card(
            self.out,
            self.hf,
            further_reports=[self.dataset / SUMMARY_FILE],
            name=NAME,
            knows=KNOWS,
            revision=revision(self.hf),
            prompt=PROMPT,
            stages=run,
            notes=(f"**Interim build**, smaller than a full build: {', '.join(short)}.\n\n" if short else "")
            + (f"{history.read_text().strip()}\n\n" if history.exists() else "")
            + (
                f"Then {training['head']['tokens']} answer tokens of {training['head']['questions']} questions were "
                "explained with exact Chefer relevancy (the model's own greedy answers, matrix products in "
                f"{FastRM.from_pretrained(self.head_folder).facts.label_precision or 'an unknown format'}), and three heads "
                "were trained on them, each with Adam, batch size 128, "
                f"{training['head']['steps']} steps and cosine decay from a learning rate of "
                f"{training['head']['learning_rate']} (the paper's 2e-5 is for d = 4096). FastRM learns the teacher's "
                f"distribution over the patches ({self.size.heads['fastrm'].loss}), and a scale and an offset, fitted on "
                "held-out tokens, make its values probabilities. `fastrm-paper` has the paper's loss, binary cross-entropy "
                "on labels at 0.3 of each map's maximum. FastRM+ also reads the token's attention over the patches in all "
                "layers and heads, so it needs more than last hidden states. FastRM's text output was trained with "
                f"`{self.size.text.loss}`, on {training['text']['tokens']} answer tokens of "
                f"{training['text']['questions']} questions. Recipes and classification thresholds were chosen on test "
                "scenes; the reports are about other scenes, on which nothing was chosen. The questions of the page's "
                "recorded examples were chosen before the model answered them; the example that opens the page was chosen "
                "for a map that is easy to read."
            ),
        )

    def calibration(self) -> None:
        """Write the calibration: answers about unseen scenes, the entropies of their maps, and the images."""
        size, tokenizer = self.size.calibration, AutoTokenizer.from_pretrained(self.hf)
        browser = BrowserModel(self.out, threads=1)
        head = browser.manifest["head"]
        scenes = read_scenes(answer_scenes(browser, tokenizer, self.work / "calibration", size))
        checked = check_answers(self.hf, self.head_folder, scenes, size.checked_answers, limit=size.answer_tokens)
        print(checked)
        facts: CalibrationFacts = {
            "model": {"name": NAME, "revision": browser.manifest["revision"], "sameAs": [revision(self.hf)]},
            "head": {"name": head["name"], "revision": head["revision"]},
            "data": {
                "name": f"{NAME}, split {SPLIT}",
                "sets": list(SETS),
                "about": f"Questions about {len(scenes)} rendered scenes that neither the model nor the head has seen: "
                + "; ".join(f"{name} ({meaning})" for name, meaning in SET_MEANINGS.items())
                + ". An answer counts as right only if it matches the reference exactly.",
            },
            "command": COMMAND.format(step="calibration"),
            "patches": PATCHES,
            "seed": size.seed,
            "licence": browser.manifest["licence"],
            "sprites": None,
            "images": None,
        }
        rows, curve = calibration_rows(scenes), json.loads((self.report / "head.json").read_text())
        write_folder(self.dataset, scenes, rows, facts, check_figures(checked), headCurve=curve)
        self.renew_card()

    def calibration_report(self) -> None:
        """Summarise the calibration again, from its table. Needs no model."""
        renew_summary(self.dataset)
        self.renew_card()

    def runs(self) -> None:
        """Record the example runs with the Hugging Face model, labelled with the revision of the page's graphs."""
        shipped = json.loads((self.out / "manifest.json").read_text())["revision"]
        write_samples(self.hf, self.head_folder, self.sample_folder, name=NAME, revision=shipped, knows=KNOWS)


def revision(folder: Path) -> str:
    """Return the first 12 hex digits of the SHA-256 of the folder's weights."""
    return sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
