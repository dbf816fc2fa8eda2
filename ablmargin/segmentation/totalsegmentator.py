"""TotalSegmentator's networks: the liver, its lesions, segments and vessels. Package and weights are the user's to install.

It runs in a process of its own (:mod:`ablmargin.segmentation.totalsegmentator_run`): it prints, changes settings of torch and
of the environment, and counts its runs in a configuration file. There it finds a configuration of ours, which has usage
statistics switched off, and no network; the user's own configuration isn't touched.

References
----------
J. Wasserthal et al., TotalSegmentator: robust segmentation of 104 anatomic structures in CT images, Radiology: Artificial
Intelligence 5 (2023) e230024, https://doi.org/10.1148/ryai.230024
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ablmargin.errors import Fault, GeometryMismatchError, MissingExtraError
from ablmargin.geometry import Array
from ablmargin.segmentation import totalsegmentator_run
from ablmargin.segmentation.labelmap import LabelMap
from ablmargin.segmentation.process import Program, labels_by
from ablmargin.segmentation.prompts import require_imaged
from ablmargin.segmentation.proposal import proposed
from ablmargin.segmentation.protocol import NO_PROMPT, Prompt, Segmentation
from ablmargin.volume import LabelMask, MaskOrigin, Structure, Volume

PACKAGE = "TotalSegmentator"

ROUGH_LIVER = ("Dataset298_TotalSegmentator_total_6mm_1559subj",)
FINER_LIVER = ("Dataset297_TotalSegmentator_total_3mm_1559subj",)
"""What finds the liver first, for a network to look into it."""

WITHOUT_STATISTICS = {
    "totalseg_id": "",
    "send_usage_stats": False,
    "prediction_counter": 0,
    "statistics_disclaimer_shown": True,
}
"""TotalSegmentator's configuration, as ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of TotalSegmentator's tasks.

    Parameters
    ----------
    name : str
    labels : mapping
        What its labels mean.
    datasets : sequence of str
        Folders of weights that must be there.
    downloads : sequence of str
        The tasks whose download brings them.
    roi : str
        The one of its structures that is asked for; all if empty.
    """

    name: str
    labels: Mapping[int, str]
    datasets: tuple[str, ...]
    downloads: tuple[str, ...]
    roi: str = ""


LIVER = Task(
    name="total",
    labels={5: "liver"},
    datasets=(
        "Dataset291_TotalSegmentator_part1_organs_1559subj",
        "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
        "Dataset293_TotalSegmentator_part3_cardiac_1559subj",
        "Dataset294_TotalSegmentator_part4_muscles_1559subj",
        "Dataset295_TotalSegmentator_part5_ribs_1559subj",
        *ROUGH_LIVER,
    ),
    downloads=("total",),
    roi="liver",
)
LESIONS = Task(
    name="liver_lesions",
    labels={1: "lesion"},
    datasets=("Dataset591_ct_liver_lesions_842subj", *FINER_LIVER),
    downloads=("liver_lesions", "total_fast"),
)
SEGMENTS = Task(
    name="liver_segments",
    labels={number: str(number) for number in range(1, 9)},
    datasets=("Dataset570_ct_liver_segments", *ROUGH_LIVER),
    downloads=("liver_segments", "total_fast"),
)
VESSELS = Task(
    name="liver_vessels",
    labels={1: "vessel", 2: "tumor"},
    datasets=("Dataset008_HepaticVessel", *ROUGH_LIVER),
    downloads=("liver_vessels", "total_fast"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How TotalSegmentator runs.

    Parameters
    ----------
    device : str
        ``gpu``, ``cpu``, ``mps`` or ``gpu:1``; without a GPU it takes the CPU by itself.
    weights : Path, optional
        The folder with the ``Dataset...`` folders; if None, the one that TotalSegmentator looks into.
    timeout_s : float
        When to end it, s.
    """

    device: str = "gpu"
    weights: Path | None = None
    timeout_s: float = 3600.0

    @property
    def weights_folder(self) -> Path:
        return (self.weights or _usual_weights()).absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalSegmentator:
    """The liver, or all lesions in it.

    Raises
    ------
    ValueError
        For ablation zones: it has no network for them.
    """

    structure: Structure
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if self.structure is Structure.ABLATION_ZONE:
            raise ValueError(f"{PACKAGE} has no network for ablation zones")

    @property
    def task(self) -> Task:
        return LIVER if self.structure is Structure.LIVER else LESIONS

    @property
    def method(self) -> str:
        return _method(self.task)

    def require_installed(self) -> None:
        """Raise MissingExtraError unless the package and the weights are there."""
        require_installed(self.task, self.settings)

    def segment(
        self,
        volume: Volume,
        prompt: Prompt = NO_PROMPT,
        *,
        liver: LabelMask | None = None,  # noqa: ARG002 - it finds the liver itself
        lesions: Sequence[LabelMask] = (),
    ) -> Segmentation:
        """All lesions, or those that were pointed at; a liver with the lesions that are known.

        Raises
        ------
        MissingExtraError
            If the package or weights are missing.
        InputError
            PROMPT_OUTSIDE; SEGMENTATION_FAILED with its last words if it fails.
        """
        require_imaged(prompt, volume.geometry)
        (label,) = self.task.labels
        voxels = _labels(volume, self.task, self.settings) == label
        origin = MaskOrigin(source="automatic", method=self.method, reviewed=False)
        mask = LabelMask(voxels=voxels, geometry=volume.geometry, structure=self.structure, origin=origin)
        return proposed(mask, prompt, lesions)


def liver_segments(volume: Volume, settings: Settings | None = None) -> LabelMap:
    """Couinaud's segments of the liver, named ``1`` to ``8``, on the volume's grid; raises as :class:`TotalSegmentator`."""
    return _label_map(volume, SEGMENTS, settings or Settings())


def liver_vessels(volume: Volume, settings: Settings | None = None) -> LabelMap:
    """The liver's vessels (``vessel``, ``tumor``) on the volume's grid; raises as :class:`TotalSegmentator`."""
    return _label_map(volume, VESSELS, settings or Settings())


def require_installed(task: Task, settings: Settings) -> None:
    """Raise MissingExtraError unless the package and a task's weights are there."""
    _method(task)
    folder = settings.weights_folder
    missing = [name for name in task.datasets if not any(folder.glob(f"{name}/*/fold_*/checkpoint_final.pth"))]
    if missing:
        downloads = " and ".join(f"totalseg_download_weights -t {name}" for name in task.downloads)
        raise MissingExtraError(
            f"{PACKAGE} ({task.name}) lacks weights in {folder}: {', '.join(missing)}. On a machine with a network run "
            f"{downloads}, and copy these folders from its ~/.totalsegmentator/nnunet/results; or set "
            "TOTALSEG_WEIGHTS_PATH to the folder that holds them. Nothing is downloaded from here."
        )


def _usual_weights() -> Path:
    """Where TotalSegmentator looks for weights."""
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    home = os.environ.get("TOTALSEG_HOME_DIR")
    return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"


def _method(task: Task) -> str:
    try:
        return f"{PACKAGE} {version(PACKAGE)} ({task.name})"
    except PackageNotFoundError:
        raise MissingExtraError(f'{PACKAGE} isn\'t installed: pip install "ablmargin[auto]"') from None


def _label_map(volume: Volume, task: Task, settings: Settings) -> LabelMap:
    labels = _labels(volume, task, settings)
    return LabelMap(labels=labels, geometry=volume.geometry, names=task.labels, method=_method(task))


def _labels(volume: Volume, task: Task, settings: Settings) -> Array:
    """A task's labels on the volume's own grid."""
    require_installed(task, settings)
    with TemporaryDirectory(prefix="ablmargin-") as home:
        Path(home, "config.json").write_text(json.dumps(WITHOUT_STATISTICS), encoding="utf-8")
        program = Program(
            name=f"{PACKAGE} ({task.name})",
            command=lambda image, result: _command(image, result, task, settings),
            timeout_s=settings.timeout_s,
            environment=os.environ | _environment(Path(home), settings),
        )
        labels, geometry = labels_by(program, volume)
    if not geometry.same_grid_as(volume.geometry):
        raise GeometryMismatchError(_other_grid(program.name))
    return np.asarray(labels)


def _environment(home: Path, settings: Settings) -> dict[str, str]:
    return {
        "TOTALSEG_HOME_DIR": str(home),
        "TOTALSEG_WEIGHTS_PATH": str(settings.weights_folder),
        "PYTHONWARNINGS": "ignore",  # so that its last words are those it failed with
    }


def _command(image: Path, result: Path, task: Task, settings: Settings) -> list[str]:
    script = totalsegmentator_run.__file__
    return [sys.executable, "-P", script, str(image), str(result), task.name, task.roi, settings.device]


def _other_grid(name: str) -> Fault:
    return Fault(
        code="SEGMENTATION_FAILED",
        source=name,
        found="a mask on another grid than the image's",
        expected="a mask on the image's grid",
        remedy=f"Install a version of {PACKAGE} that ablmargin was tested with: see docs/segmentation.md.",
    )
