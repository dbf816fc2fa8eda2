from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from ablmargin.errors import UsageError
from ablmargin.loaded import PatientDigest
from ablmargin.pseudonyms import MOST_DAYS_BACK, Pseudonyms, read_key

KEY, OTHER = b"k" * 16, b"o" * 16
uids = st.from_regex(r"1\.2\.826(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


def of(key: bytes = KEY, subject: str = "4711") -> Pseudonyms:
    return Pseudonyms(key=key, subject=subject)


@given(uids, uids)
def test_uids_are_valid_and_map_one_to_one(one, other):
    made = of().uid(one)
    assert UID(made).is_valid
    assert made.startswith("2.25.")
    assert (made == of().uid(other)) == (one == other)


@given(uids)
def test_only_the_key_decides_on_a_uid(uid):
    assert of().uid(uid) == of(subject="another patient").uid(uid)
    assert of().uid(uid) != of(OTHER).uid(uid)


@pytest.mark.parametrize("uid", ["1.2.840.10008.19331122.4711", "1.2.840.10008.5.1.4.1.1.2"])
def test_none_stays_though_it_claims_to_be_the_standards(uid):
    """Series and images have UIDs of their makers; what begins otherwise may hold a birth date as well."""
    assert of().uid(uid).startswith("2.25.")


@given(st.dates(date(1960, 1, 1), date(2060, 1, 1)), st.dates(date(1960, 1, 1), date(2060, 1, 1)), st.text())
def test_intervals_and_times_of_day_stay(first, second, subject):
    names = of(subject=subject)
    moved = [date.fromisoformat((names.moment(f"{day}T09:30:15") or "")[:10]) for day in (first, second)]
    assert moved[1] - moved[0] == second - first
    assert 1 <= (first - moved[0]).days <= MOST_DAYS_BACK
    assert (names.moment(f"{first}T09:30:15+00:00") or "").endswith("T09:30:15+00:00")
    assert names.dicom_date(f"{first:%Y%m%d}") == f"{moved[0]:%Y%m%d}"


def test_patients_move_by_different_numbers_of_days():
    assert len({of(subject=str(number)).days_back for number in range(100)}) > 90


@pytest.mark.parametrize("text", ["", "2031", "20319999", "unknown!", "0001-01-01", "00010101"])
def test_what_is_no_date_is_left_out_and_never_kept(text):
    assert of().dicom_date(text) == ""
    assert of().moment(text) is None


def test_a_pseudonym_tells_patients_apart_and_not_who_they_are():
    assert of().name == of().name
    assert len({of().name, of(subject="4712").name, of(OTHER).name}) == 3
    assert "4711" not in of().name + repr(of())
    assert KEY.decode() not in repr(of())


def test_hashes_are_replaced():
    assert of().digest("ab") != of(OTHER).digest("ab")
    assert len(of().digest("ab")) == 64


class TestPatients:
    def test_the_same_in_every_run_with_one_key_only(self):
        one = PatientDigest.of(patient_id=" a1 ", birth_date="", sex="")
        same = PatientDigest.of(patient_id="A1", birth_date="19500101", sex="F")
        assert one.keyed(KEY) == same.keyed(KEY) != one.keyed(OTHER)
        assert one.keyed(KEY) != PatientDigest.of(patient_id="A2", birth_date="", sex="").keyed(KEY)

    @pytest.mark.parametrize("placeholder", ["", "ANONYMOUS", "0000", " "])
    def test_a_placeholder_makes_no_patient_of_all(self, placeholder):
        assert PatientDigest.of(patient_id=placeholder, birth_date="", sex="").keyed(KEY) is None


class TestKeys:
    def test_a_file_holds_the_same_key_for_all_runs(self, tmp_path):
        (tmp_path / "key").write_bytes(KEY)
        assert read_key(tmp_path / "key") == KEY

    def test_without_a_file_each_run_has_its_own(self):
        assert read_key(None) != read_key(None)
        assert len(read_key(None)) == 32

    @pytest.mark.parametrize("content", [b"", b"short", b"x" * 4097])
    def test_what_is_no_key_is_refused(self, tmp_path, content):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(UsageError, match="16 to 4096 random bytes"):
            read_key(tmp_path / "key")

    def test_so_is_what_cannot_be_read(self, tmp_path):
        with pytest.raises(UsageError, match="can't be read"):
            read_key(tmp_path / "none")
