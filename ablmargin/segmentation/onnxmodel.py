"""A network of one's own, as an ONNX file with a small TOML file beside it: the one place that knows onnxruntime."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablmargin.errors import Fault, InputError, MissingExtraError, UsageError, printable
from ablmargin.geometry import BoolArray, Geometry, triple, triples
from ablmargin.itk import resample
from ablmargin.segmentation.modelsheet import ModelSheet, read_sheet
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.proposal import proposed
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.segmentation.windows import blended
from ablmargin.volume import INSIDE_SHARE, LabelMask, MaskOrigin, Structure, Volume

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""What may compute; none of the others was tried, and one of them sends images elsewhere."""

_SPATIAL_AXES = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxModel:
    """A network that is ready to run; see :meth:`load`."""

    name: str
    sheet: ModelSheet
    sha256: str
    session: Any

    @classmethod
    def load(cls, path: Path, *, threads: int = 0) -> OnnxModel:
        """Load a network and what its TOML file, of the same name, tells of it.

        It runs on so many threads, or on all cores if 0. Its input must have the shape (1, 1, *patch) and its output (1, channels, *patch), where dimensions may be left open,
        and a channel for each label: for ``softmax`` after one for the background.

        Raises
        ------
        MissingExtraError
            If onnxruntime isn't installed.
        InputError
            PATH_MISSING; MODEL_SHEET or MODEL_SHAPE with everything that is wrong; MODEL_UNREADABLE.
        """
        runtime = _runtime()
        content = _content(path)
        sheet = read_sheet(path.with_suffix(".toml"))
        session = _session(runtime, path, content, threads)
        faults = _shape_faults(path, session, sheet)
        if faults:
            raise InputError(*faults)
        return cls(name=path.stem, sheet=sheet, sha256=hashlib.sha256(content).hexdigest(), session=session)

    @property
    def method(self) -> str:
        return f"{self.name} {self.sheet.version} (ONNX {self.sha256[:16]})"

    def segmenter(self, structure: Structure) -> OnnxSegmenter:
        """What finds one of the model's structures; UsageError if it has no label for it."""
        return OnnxSegmenter(model=self, structure=structure)

    def scores(self, volume: Volume) -> tuple[NDArray[np.float32], Geometry]:
        """Each channel's share of each voxel, shape (channels, *grid.shape), on the network's own grid, and that grid.

        Raises
        ------
        InputError
            MODEL_OUTPUT if the output isn't of the shape that was promised, or isn't finite.
        """
        grid = network_grid(volume.geometry, self.sheet)
        low_hu = self.sheet.window_hu[0]
        voxels = self.sheet.normalized(
            resample(volume.voxels_hu, volume.geometry, grid, fill=low_hu).astype(np.float32)
        )
        fill = float(self.sheet.normalized(np.array([low_hu], np.float32))[0])
        output = blended(voxels, self._predict, patch=self.sheet.patch, overlap=self.sheet.overlap, fill=fill)
        if not np.isfinite(output).all():
            raise InputError(_output_fault(self.name, "NaN or infinite values"))
        return _shares(output, self.sheet), grid

    def _predict(self, patch: NDArray[np.float32]) -> NDArray[np.float32]:
        (first, *_) = self.session.get_inputs()
        (output,) = self.session.run([self.session.get_outputs()[0].name], {first.name: patch[None, None]})
        if output.ndim != 5 or output.shape[2:] != patch.shape or output.shape[1] < _fewest_channels(self.sheet):
            raise InputError(
                _output_fault(self.name, f"an output of shape {output.shape} for a patch of {patch.shape}")
            )
        return np.asarray(output[0], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxSegmenter:
    """One structure by a network of one's own. A liver holds the tumors and zones that the network finds in it.

    Raises
    ------
    UsageError
        If the network has no label for the structure.
    """

    model: OnnxModel
    structure: Structure

    def __post_init__(self) -> None:
        names = self.model.sheet.labels.values()
        if self.structure not in names:
            raise UsageError(f"{self.model.name} has no label for the {self.structure}, but for {', '.join(names)}")

    @property
    def method(self) -> str:
        return self.model.method

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,  # noqa: ARG002 - networks see the image alone
        lesions: Sequence[LabelMask] = (),
    ) -> Segmentation:
        """The structure on the image's grid; of tumors and zones those that were pointed at, or all.

        Raises
        ------
        InputError
            PROMPT_OUTSIDE; MODEL_OUTPUT if the network's output can't be used.
        """
        require_imaged(prompt, volume.geometry)
        scores, grid = self.model.scores(volume)
        mask = LabelMask(
            voxels=self._inside(scores, grid, volume.geometry),
            geometry=volume.geometry,
            structure=self.structure,
            origin=MaskOrigin(
                source="automatic",
                method=self.method,
                reviewed=False,
                drawn_spacing_mm=_drawn_spacing(grid, volume.geometry),
            ),
        )
        return proposed(mask, prompt, lesions)

    def _inside(self, scores: NDArray[np.float32], grid: Geometry, onto: Geometry) -> BoolArray:
        """Where one of the wanted channels is larger than all others; or half or more, if there is no background."""
        sheet = self.model.sheet
        wanted_labels = {
            label for label, name in sheet.labels.items() if name is self.structure or self.structure is Structure.LIVER
        }
        has_background = len(scores) > max(sheet.labels) and sheet.activation != "sigmoid"
        wanted_channels = {label - (not has_background) for label in wanted_labels}
        wanted, others = (
            np.zeros(onto.shape, np.float32),
            np.full(onto.shape, np.nextafter(np.float32(INSIDE_SHARE), 0)),
        )
        if has_background:
            others[:] = 0
        for channel, score in enumerate(scores):
            if channel in wanted_channels:
                np.maximum(wanted, _spread(score, grid, onto), out=wanted)
            elif has_background:
                np.maximum(others, _spread(score, grid, onto), out=others)
        return np.asarray(wanted > others)


def network_grid(image: Geometry, sheet: ModelSheet) -> Geometry:
    """The grid that a network sees: along the image's axes, ordered and directed as the network's, in its spacing.

    It has the image's center and the image's extent to half a voxel.
    """
    axes = np.array(image.directions)
    alike = sheet.directions_mm @ axes.T
    order = max(permutations(range(_SPATIAL_AXES)), key=lambda turn: np.abs(alike[range(_SPATIAL_AXES), turn]).sum())
    signs = np.where(alike[range(_SPATIAL_AXES), order] < 0, -1.0, 1.0)
    directions = axes[list(order)] * signs[:, None]
    extent_mm = (np.array(image.shape) * image.spacing_mm)[list(order)]
    shape = np.maximum(np.rint(extent_mm / sheet.spacing_mm), 1).astype(int)
    from_center_mm = (shape - 1) / 2 * sheet.spacing_mm
    return Geometry(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=sheet.spacing_mm,
        origin_mm=triple(image.center_mm - from_center_mm @ directions),
        directions=triples(directions),
        frame_uid=image.frame_uid,
    )


def _drawn_spacing(grid: Geometry, onto: Geometry) -> tuple[float, float, float]:
    """The network's spacing along the image's axes."""
    alike = np.abs(np.array(onto.directions) @ np.array(grid.directions).T)
    return triple(np.array(grid.spacing_mm)[alike.argmax(axis=1)])


def _spread(score: NDArray[np.float32], grid: Geometry, onto: Geometry) -> NDArray[np.float32]:
    """A channel on the image's grid; beyond its outermost voxels it goes on as there."""
    around = grid.cropped((-1, -1, -1), [size + 1 for size in grid.shape])
    return np.asarray(resample(np.pad(score, 1, mode="edge"), around, onto), np.float32)


def _shares(output: NDArray[np.float32], sheet: ModelSheet) -> NDArray[np.float32]:
    if sheet.activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(output, -50, 50))), np.float32)
    if sheet.activation == "softmax":
        powers = np.exp(output - output.max(axis=0))
        return np.asarray(powers / powers.sum(axis=0), np.float32)
    return output


def _fewest_channels(sheet: ModelSheet) -> int:
    return max(sheet.labels) + (sheet.activation == "softmax")


def _runtime() -> Any:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise MissingExtraError(
            'a model in ONNX needs the package onnxruntime: pip install "ablmargin[onnx]"'
        ) from None
    runtime.disable_telemetry_events()
    return runtime


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        found = f"nothing that can be read ({error.strerror})"
        raise InputError(_fault("PATH_MISSING", str(path), found, "an ONNX file", "Check how it is spelled.")) from None


def _session(runtime: Any, path: Path, content: bytes, threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    providers = [name for name in PROVIDERS if name in runtime.get_available_providers()]
    try:
        return runtime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # noqa: BLE001 - onnxruntime's own exceptions have no other base
        found = f"content that onnxruntime can't load ({printable(str(error))[:200]})"
        remedy = "Export the model again, with its weights in the one file, for an opset that onnxruntime knows."
        raise InputError(_fault("MODEL_UNREADABLE", str(path), found, "an ONNX model", remedy)) from None


def _shape_faults(path: Path, session: Any, sheet: ModelSheet) -> list[Fault]:
    """What the model's declared input and output contradict its TOML file in."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    remedy = f"Mend {path.stem}.toml, or export the model so that it fits."
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        found = f"{len(inputs)} input(s), {', '.join(entry.type for entry in inputs)}"
        return [_fault("MODEL_SHAPE", path.name, found, "one input, tensor(float)", remedy)]
    faults = []
    expected = (1, 1, *sheet.patch)
    if not _fits(inputs[0].shape, expected):
        faults.append(_fault("MODEL_SHAPE", path.name, f"an input {inputs[0].shape}", f"{list(expected)}", remedy))
    fewest, shape = _fewest_channels(sheet), outputs[0].shape
    channels = shape[1] if len(shape) == 5 and isinstance(shape[1], int) else fewest
    if not _fits(shape, (1, channels, *sheet.patch)) or channels < fewest:
        wanted = f"[1, {fewest} channels or more, {', '.join(map(str, sheet.patch))}]"
        faults.append(_fault("MODEL_SHAPE", path.name, f"an output {shape}", wanted, remedy))
    return faults


def _fits(shape: Sequence[object], expected: tuple[int, ...]) -> bool:
    """Whether a declared shape, names or None where a dimension is open, allows for another."""
    return len(shape) == len(expected) and all(
        not isinstance(size, int) or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _output_fault(name: str, found: str) -> Fault:
    remedy = "Check how the model was exported, and its TOML file."
    return _fault("MODEL_OUTPUT", name, found, "finite channels for each voxel of the patch", remedy)


def _fault(code: str, source: str, found: str, expected: str, remedy: str) -> Fault:
    return Fault(code=code, source=source, found=found, expected=expected, remedy=remedy)
