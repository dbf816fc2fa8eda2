"""One patient, before and after, seen from the same side."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hostile_phantom import exam, heights, stack, write
from orientations import grid_around

from ablmargin.errors import InputError, UsageError
from ablmargin.exampair import check_pair, check_sides
from ablmargin.hazards import ACCEPTABLE, require_acceptable
from ablmargin.loaded import PatientDigest
from ablmargin.loading import load_image
from ablmargin.volume import LabelMask, Structure, Volume

COUNT = 10
"""Patients, two of which share a name, two a birth date, two an ID but for one digit."""
PATIENTS = [
    {
        "name": f"ZZCANARY^{'AB'[n % 2]}",
        "patient_id": f"1234{n}",
        "birth_date": f"19{33 + n // 2}1122",
        "sex": "FM"[n % 2],
    }
    for n in range(COUNT)
]


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    """Each patient's two exams as headers tell them."""
    root = tmp_path_factory.mktemp("patients")
    for number, who in enumerate(PATIENTS):
        for name, date, seed in (("pre", "20310203", 50), ("post", "20310301", 70)):
            of = exam(date=date, root=f"1.2.{seed}.{number}", seed=seed + number, **who)
            write(root / f"{number}" / name, stack(of, heights_mm=heights(3), matrix=(40, 40), pixel_mm=(3.2, 3.2)))
    return [[load_image(root / f"{number}" / name) for name in ("pre", "post")] for number in range(COUNT)]


WRONG = [(one, other) for one, other in itertools.product(range(COUNT), repeat=2) if one != other]
WITH_ONE_DIFFERENCE = [
    ("patient_id", "12349"),
    ("patient_id", "012340"),
    ("birth_date", "19331123"),
    ("birth_date", "19321122"),
    ("sex", "M"),
]


@pytest.mark.parametrize(("one", "other"), WRONG)
def test_ninety_pairs_of_two_patients_are_refused(exams, one, other):
    with pytest.raises(InputError) as caught:
        check_pair(exams[one][0], exams[other][1])
    assert [fault.code for fault in caught.value.faults] == ["PATIENT_MISMATCH"]
    assert not any(value in str(caught.value) for value in PATIENTS[other].values() if len(value) > 1)


@pytest.mark.parametrize("of_post", [True, False])
@pytest.mark.parametrize(("field", "value"), WITH_ONE_DIFFERENCE)
def test_ten_more_that_differ_in_one_thing_only(exams, field, value, of_post):
    who = {name: PATIENTS[0][name] for name in ("patient_id", "birth_date", "sex")} | {field: value}
    pre, post = exams[0]
    if of_post:
        post = replace(post, identity=PatientDigest.of(**who))
    else:
        pre = replace(pre, identity=PatientDigest.of(**who))
    with pytest.raises(InputError, match="PATIENT_MISMATCH"):
        check_pair(pre, post)


@pytest.mark.parametrize("number", range(COUNT))
def test_ten_right_pairs_are_accepted(exams, number):
    assert check_pair(*exams[number]) == ()


def test_another_patient_can_be_taken_on_purpose(exams):
    caution, other = check_pair(exams[0][0], exams[1][1], {"PATIENT_MISMATCH"})
    assert (caution.code, other.code) == ("PATIENT_MISMATCH", "PATIENT_NAME_DIFFERS")
    assert "accepted on purpose: different PatientID" in caution.message


PLACEHOLDERS = [
    *(
        "ANONYMOUS",
        "anon",
        "0000",
        "xxx",
        "---",
        " ",
        "DeIdentified",
        "de-identified",
        "N/A",
        "NA",
        "NULL",
        "ANONYM",
        "TEST",
    ),
    *(
        "anonymous^patient",
        "DUMMY",
        "NOID",
        "no id",
        "Patient",
        "not available",
        "999999",
        "1111",
        "123456",
        "0123456789",
    ),
]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_makes_nobody_the_same_patient(exams, placeholder):
    pre, post = (
        replace(one, identity=PatientDigest.of(patient_id=placeholder, birth_date="19000101", sex="O"))
        for one in exams[0]
    )
    assert [caution.code for caution in check_pair(pre, post)] == ["PATIENT_UNVERIFIED"]
    assert [caution.code for caution in check_pair(pre, exams[3][1])] == ["PATIENT_UNVERIFIED"]


@pytest.mark.parametrize("real", ["4711", "99", "TEST7", "A1", "Nadler", "12345", "99998", "id 5", "patient 7"])
def test_what_may_be_an_id_is_taken_for_one(real):
    assert not PatientDigest.of(patient_id=real, birth_date="", sex="").is_unknown


def pair_of(exams, before, after):
    same = {"patient_id": "4711", "birth_date": "19331122", "sex": "F"}
    return [
        replace(one, identity=PatientDigest.of(**(same | who)))
        for one, who in zip(exams[0], (before, after), strict=True)
    ]


@pytest.mark.parametrize(
    ("before", "after", "codes"),
    [
        ({"birth_date": "1933.11.22"}, {}, []),
        ({"name": "Doe^Jane"}, {"name": "DOE^JANE^^"}, []),
        ({"name": "M\u00fcller^\u00c9va"}, {"name": "Muller Eva"}, []),
        ({"name": "Doe^Jane"}, {"name": "Doe^June"}, ["PATIENT_NAME_DIFFERS"]),
        ({"name": "Doe^Jane"}, {"name": "ANONYMOUS"}, []),
        (
            {"name": "A^B", "patient_id": ""},
            {"name": "C^D", "patient_id": ""},
            ["PATIENT_UNVERIFIED", "PATIENT_NAME_DIFFERS"],
        ),
        ({"issuer": "HOSPA"}, {"issuer": "HOSPB"}, ["PATIENT_UNVERIFIED"]),
        ({"issuer": "HOSPA"}, {"issuer": "hospa "}, []),
        ({"issuer": "HOSPA"}, {}, []),
    ],
)
def test_what_else_tells_of_the_patient(exams, before, after, codes):
    assert [caution.code for caution in check_pair(*pair_of(exams, before, after))] == codes


@pytest.mark.parametrize(
    ("acquired", "code"),
    [
        ("2031-08-02T09:30:00", None),
        ("2031-08-04T09:30:00", "INTERVAL_LONG"),
        ("2031-02-03", "ORDER_UNKNOWN"),
        ("2031-02-03T09:35:00", "INTERVAL_SHORT"),
        ("2031-02-03T09:30:00", "ACQUISITION_SAME"),
    ],
)
def test_the_time_between(exams, acquired, code):
    pre, post = exams[0]
    told = check_pair(pre, replace(post, record=replace(post.record, acquired=acquired)))
    assert [caution.code for caution in told] == ([code] if code else [])


@pytest.mark.parametrize(("acquired", "words"), [("2031-01-02", "32 days"), ("2031-02-03T08:00:00", "1.5 hours")])
def test_the_order_is_told_without_dates(exams, acquired, words):
    pre, post = exams[0]
    with pytest.raises(InputError) as caught:
        check_pair(pre, replace(post, record=replace(post.record, acquired=acquired)))
    (fault,) = caught.value.faults
    assert (fault.code, fault.found) == ("ORDER_SUSPECT", f"post acquired {words} before pre")
    taken = check_pair(pre, replace(post, record=replace(post.record, acquired=acquired)), {"ORDER_SUSPECT"})
    assert "ORDER_SUSPECT" in {caution.code for caution in taken}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("HFS", "HFP", "supine before and prone after"),
        ("FFDL", "HFS", "on the left side before and supine after"),
        ("HFS", "FFS", None),
        ("HFS", None, None),
    ],
)
def test_how_the_patient_lay(exams, before, after, words):
    pre, post = (replace(one, patient_position=told) for one, told in zip(exams[0], (before, after), strict=True))
    told = check_pair(pre, post)
    assert [caution.code for caution in told] == (["POSITION_DIFFERS"] if words else [])
    assert all(words in caution.message for caution in told)


class TestSamePixels:
    """A copy is a copy under other UIDs, with other coordinates, cut, or turned upside down."""

    def post_of(self, exams, voxels):
        pre, post = exams[0]
        geometry = grid_around((5, 6, 7), shape=voxels.shape, spacing_mm=(2.5, 3.2, 3.2))
        return pre, replace(post, volume=Volume(voxels_hu=voxels, geometry=geometry))

    @pytest.mark.parametrize("part", [slice(None), slice(1, None), slice(None, None, -1)])
    def test_a_copy_is_refused(self, exams, part):
        pre, post = self.post_of(exams, exams[0][0].volume.voxels_hu[part].copy())
        with pytest.raises(InputError, match="SAME_SERIES"):
            check_pair(pre, post)

    @pytest.mark.parametrize("size", [(40, 40), (39, 40), (36, 37), (38, 24), (30, 28)])
    @pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1)])
    @pytest.mark.parametrize("turned", [(), (2,), (1,), (1, 2), (0, 2)])
    def test_a_copy_that_was_turned_or_mirrored_is_refused(self, exams, size, axes, turned):
        part = exams[0][0].volume.voxels_hu[:, 2 : 2 + size[0], : size[1]] + np.arange(size[1], dtype=np.float32)
        copy = np.flip(part, turned).transpose(axes).copy()
        pre, post = self.post_of(exams, copy)
        geometry = grid_around((1, 2, 3), shape=part.shape, spacing_mm=(2.5, 3.2, 3.2))
        pre = replace(pre, volume=Volume(voxels_hu=part, geometry=geometry))
        with pytest.raises(InputError, match="SAME_SERIES"):
            check_pair(pre, post)

    @pytest.mark.parametrize("step", [1, -1])
    @pytest.mark.parametrize("offset_hu", [0, 1, -7.5])
    @pytest.mark.parametrize("cut", [slice(1, None), slice(2, 37)])
    @pytest.mark.parametrize("kept", [slice(None), slice(1, 39)])
    def test_a_copy_that_was_cut_and_made_brighter_is_refused(self, exams, kept, cut, offset_hu, step):
        whole = exams[0][0].volume.voxels_hu
        copy = (whole[:, cut, cut][:, :, ::step] + np.float32(offset_hu)).copy()
        pre, post = self.post_of(exams, copy)
        geometry = grid_around((1, 2, 3), shape=whole[:, kept, kept].shape, spacing_mm=(2.5, 3.2, 3.2))
        pre = replace(pre, volume=Volume(voxels_hu=whole[:, kept, kept], geometry=geometry))
        with pytest.raises(InputError, match="SAME_SERIES"):
            check_pair(pre, post)

    def test_slices_that_differ_everywhere_by_a_little_make_no_copy(self, exams):
        voxels = exams[0][0].volume.voxels_hu.copy()
        voxels[:, 2::5, 2::5] += 1
        pre, post = self.post_of(exams, voxels)
        check_pair(pre, post)

    def test_one_slice_in_common_is_no_copy(self, exams):
        voxels = exams[0][1].volume.voxels_hu.copy()
        voxels[1] = exams[0][0].volume.voxels_hu[1]
        assert check_pair(*self.post_of(exams, voxels)) == ()

    def test_slices_of_one_value_are_no_copy(self, exams):
        pre, post = self.post_of(exams, exams[0][1].volume.voxels_hu.copy())
        flat = np.full_like(pre.volume.voxels_hu, -1000)
        both = (replace(one, volume=replace(one.volume, voxels_hu=flat)) for one in (pre, post))
        assert check_pair(*both) == ()


class TestSides:
    """A body of 300 mm with its liver 60 mm to one side, in every orientation of the grid."""

    def exam_with_liver(self, orientation, *, left_mm):
        grid = grid_around((10, -20, 30), orientation=orientation, shape=(20, 90, 100), spacing_mm=(8, 4, 4))
        points = grid.points_at(np.moveaxis(np.indices(grid.shape), 0, -1)) - (10, -20, 30)
        body = np.hypot(points[..., 0] / 150, points[..., 1] / 110) <= 1
        liver = np.linalg.norm(points - (left_mm, 0, 0), axis=-1) < 50
        voxels = np.where(body, 40.0, -1000.0).astype(np.float32)
        mask = LabelMask(voxels=liver, geometry=grid, structure=Structure.LIVER)
        return Volume(voxels_hu=voxels, geometry=grid), mask

    def check(self, orientation, pre_mm, post_mm, accepted=()):
        pre, liver_pre = self.exam_with_liver(orientation, left_mm=pre_mm)
        post, liver_post = self.exam_with_liver("LPS", left_mm=post_mm)
        return [one.code for one in check_sides(pre, post, (liver_pre, liver_post), accepted)]

    def test_on_the_right_there_is_nothing_to_say(self, orientation):
        assert self.check(orientation, -60, -55) == []

    def test_one_mirrored_exam_is_refused(self, orientation):
        with pytest.raises(InputError, match="SIDES_MIRRORED"):
            self.check(orientation, 60, -55)

    def test_on_the_left_in_both_is_told(self, orientation):
        assert self.check(orientation, 60, 55) == ["SIDES_MIRRORED"]

    def test_in_the_middle_says_nothing_against_the_other(self):
        assert self.check("LPS", -60, 5) == []

    def test_it_can_be_taken_on_purpose(self):
        assert self.check("LPS", 60, -55, {"SIDES_MIRRORED"}) == ["SIDES_MIRRORED"]


def test_only_what_is_listed_can_be_accepted():
    assert require_acceptable(list(ACCEPTABLE)) == frozenset(ACCEPTABLE)
    for code in (
        "SAME_SERIES",
        "GEOM_INPLANE_SHIFT",
        "GEOM_OFF_GRID",
        "TARGET_TOUCHES_EDGE",
        "PATIENT_MIXED",
        "nonsense",
    ):
        with pytest.raises(UsageError, match=code):
            require_acceptable(["GEOM_GAP", code])
