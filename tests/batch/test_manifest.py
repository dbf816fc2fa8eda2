"""What a manifest may look like, and that everything wrong with it is told by row and column."""

from __future__ import annotations

import pyarrow as pa
import pytest
from batch_cases import write_manifest
from pyarrow import parquet

from ablmargin.batch.cells import COLUMNS, Defaults
from ablmargin.batch.manifest import read_manifest
from ablmargin.case import RasMutation
from ablmargin.errors import InputError
from ablmargin.segmentation.protocol import Prompt


@pytest.fixture
def write(cases, tmp_path):
    """Writes rows as a manifest beside the cases' folders; paths in cells are absolute then."""

    def write_rows(rows, name="m.csv"):
        for row in rows:
            for column in ("pre", "post", "liver_pre", "liver_post", "tumor", "ablation"):
                if row.get(column) and not row[column].startswith(("/", "none")):
                    row[column] = str(cases / row[column])
        return write_manifest(tmp_path / name, rows)

    return write_rows


def faults_of(path, *arguments):
    with pytest.raises(InputError) as caught:
        read_manifest(path, *arguments)
    assert all(fault.found and fault.expected and fault.remedy for fault in caught.value.faults)
    return [(fault.code, fault.source.partition(", ")[2]) for fault in caught.value.faults]


def two_lesions(rows, **second):
    """Two lesions of the first case, the second row with other cells."""
    return [dict(rows[0], lesion_id="b"), dict(rows[0], lesion_id="a", tumor=rows[0]["ablation"]) | second]


def test_paths_are_relative_to_the_manifest(cases):
    case = read_manifest(cases / "m.csv").cases[1]
    assert case.request.pre == cases / "c1" / "pre.nii.gz"
    assert case.request.tumors == (str(cases / "c1" / "tumor-1.nii.gz"),)
    assert case.request.ras_mutation is RasMutation.WILD_TYPE
    assert case.lesion_ids == ("1",)


def test_they_are_relative_to_a_link_not_to_what_it_leads_to(cases, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "of_the_trial.csv"
    moved.write_bytes((cases / "m.csv").read_bytes())
    (cases / "link.csv").symlink_to(moved)
    assert read_manifest(cases / "link.csv").cases == read_manifest(cases / "m.csv").cases
    with pytest.raises(InputError, match="where there is nothing"):
        read_manifest(moved)


def test_lesions_of_a_case_share_images_and_are_put_in_the_order_of_their_names(rows, write):
    manifest = read_manifest(write(two_lesions(rows)))
    (case,) = manifest.cases
    assert case.lesion_ids == ("a", "b")
    assert [text.rsplit("/")[-1] for text in case.request.tumors] == ["ablation-1.nii.gz", "tumor-1.nii.gz"]
    assert len(case.request.ablations) == 1, "one zone that two lesions share"
    assert [row.lesion_id for row in manifest.rows] == ["b", "a"], "rows stay in the file's order"


def test_the_order_of_rows_changes_no_case(rows, write):
    both = two_lesions(rows)
    assert read_manifest(write(both)).cases == read_manifest(write(both[::-1])).cases


def test_lesions_with_a_mask_come_first_as_in_the_result(rows, write):
    rows = two_lesions(rows, tumor="", tumor_point="1,2,3")
    rows[0]["tumor_point"] = ""
    (case,) = read_manifest(write(rows)).cases
    assert case.lesion_ids == ("b", "a")
    assert case.request.tumor_prompts == (Prompt(point_mm=(1.0, 2.0, 3.0)),)


def test_axes_series_acceptance_and_review(rows, write):
    row = dict(
        rows[0],
        ablation="",
        ablation_axis="0,0,0,10,0,0",
        pre_series="2",
        accept="GEOM_GAP, HU_IMPLAUSIBLE",
        reviewed="yes",
    )
    defaults = Defaults(accepted=frozenset({"SIDES_MIRRORED"}))
    (case,) = read_manifest(write([row]), defaults).cases
    assert case.request.ablation_prompts == (Prompt(axis_mm=((0.0, 0.0, 0.0), (10.0, 0.0, 0.0))),)
    assert case.request.pre_series == "2"
    assert case.request.accepted == {"GEOM_GAP", "HU_IMPLAUSIBLE", "SIDES_MIRRORED"}
    assert case.request.reviewed


@pytest.mark.parametrize(("word", "meant"), [("Y", True), ("n", False), ("TRUE", True), ("0", False)])
def test_ways_to_say_yes_and_no(rows, write, word, meant):
    (case,) = read_manifest(write([dict(rows[0], reviewed=word)]), Defaults(reviewed=not meant)).cases
    assert case.request.reviewed is meant


def test_defaults_hold_where_rows_say_nothing(rows, write):
    given, blank = dict(rows[0]), dict(rows[1], ras_mutation="")
    first, second = read_manifest(write([given, blank]), Defaults(ras_mutation=RasMutation.MUTANT, reviewed=True)).cases
    assert (first.request.ras_mutation, second.request.ras_mutation) == (RasMutation.WILD_TYPE, RasMutation.MUTANT)
    assert second.request.reviewed


def test_a_blank_cell_takes_what_the_cases_other_rows_say(rows, write):
    first, second = two_lesions(rows, pre="", ras_mutation="", liver_pre="")
    (case,) = read_manifest(write([first, second])).cases
    assert case.request.pre.name == "pre.nii.gz"


def test_other_columns_are_carried_through(cases):
    manifest = read_manifest(cases / "m.csv")
    assert manifest.carried_columns == ("ltp",)
    assert [dict(row.carried) for row in manifest.rows] == [{"ltp": "0"}, {"ltp": "1"}, {"ltp": "0"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_forms_of_csv_that_programs_write(cases, encoding, separator, newline):
    text = (cases / "m.csv").read_text().replace(",", separator).replace("\n", newline)
    other = cases / "other.csv"
    other.write_bytes((text + newline).encode(encoding))
    assert read_manifest(other).cases == read_manifest(cases / "m.csv").cases


@pytest.mark.parametrize(
    ("begin", "separator"),
    [
        ("\n", ","),
        ("\r\n ;;\r\n", ";"),
        (",,,,\n", ","),
        ("sep=;\n", ";"),
        ("sep=;\r\n\r\n", ";"),
        ("\ufeffSEP=,\n", ","),
        ("sep=\t\n", "\t"),
        ('"sep=;"\n', ";"),
        ("sep=|\n", "|"),
    ],
)
def test_what_comes_before_the_header_is_skipped_and_counted(cases, begin, separator):
    text = (cases / "m.csv").read_text().replace(",", separator)
    other = cases / "other.csv"
    other.write_bytes((begin + text).encode())
    found, plain = read_manifest(other), read_manifest(cases / "m.csv")
    assert found.cases == plain.cases
    before = begin.count("\n")
    assert [row.number - before for row in found.rows] == [row.number for row in plain.rows]
    other.write_bytes((begin + text.replace("c1/pre", "none/pre")).encode())
    assert faults_of(other) == [("MANIFEST_CELL", f"row {3 + before}, column pre")]


def test_the_line_with_the_separator_decides(tmp_path):
    """Without it the header's commas would: they are more."""
    (tmp_path / "p").touch()
    (tmp_path / "m.csv").write_text('sep=;\ncase_id;pre;post;tumor;ablation;"a,b,c,d,e,f"\nc;p;p;p;p;x\n')
    assert read_manifest(tmp_path / "m.csv").carried_columns == ("a,b,c,d,e,f",)


def test_parquet_is_the_same(cases, rows):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["ltp"] = [0, None, 1]
    parquet.write_table(pa.table(columns), cases / "m.parquet")
    manifest = read_manifest(cases / "m.parquet")
    assert manifest.cases == read_manifest(cases / "m.csv").cases
    assert [row.carried["ltp"] for row in manifest.rows] == ["0", "", "1"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "MANIFEST_EMPTY"),
        (b"case_id,pre,post,tumor,ablation\n\n ,\n", "MANIFEST_EMPTY"),
        (b"case_id,pre,post,tumor,ablation\n\n", "MANIFEST_EMPTY"),
        ("case_id\nä".encode("latin-1"), "MANIFEST_ENCODING"),
        ("case_id\na".encode("utf-16"), "MANIFEST_ENCODING"),
        ("case_id\na".encode("utf-16-le"), "MANIFEST_ENCODING"),
        (b'case_id,"pre\n', "MANIFEST_UNREADABLE"),
        (b"PAR1 is no table", "MANIFEST_UNREADABLE"),
        (b"case_id,pre,pre\na,b,c\n", "MANIFEST_COLUMN"),
        (b"case_id,,post\na,b,c\n", "MANIFEST_COLUMN"),
        (b"case_id,pre,post,tumor_point,ablation\na,b,c,1,2,3,d\n", "MANIFEST_ROW"),
    ],
)
def test_files_that_are_no_manifest(tmp_path, content, code):
    (tmp_path / "m.csv").write_bytes(content)
    assert {found for found, _ in faults_of(tmp_path / "m.csv")} == {code}


def test_a_manifest_that_isn_t_there(tmp_path):
    assert faults_of(tmp_path / "m.csv") == [("MANIFEST_UNREADABLE", "")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Case_ID", "case_id"),
        ("tumour", "tumor"),
        ("liverpre", "liver_pre"),
        ("liver-post", "liver_post"),
        ("ablations", "ablation"),
        ("ras_mutations", "ras_mutation"),
        ("lesion id", "lesion_id"),
        ("Lesion", "lesion_id"),
        ("LESION NR.", "lesion_id"),
        ("RAS", "ras_mutation"),
        ("KRAS status", "ras_mutation"),
        ("RAS_mut", "ras_mutation"),
        ("liver", "liver_pre or liver_post"),
        ("case", "case_id"),
        ("Tumour mask", "tumor"),
        ("ablation zone", "ablation"),
        ("CT pre", "pre"),
        ("postCT", "post"),
    ],
)
def test_columns_that_look_like_typos(tmp_path, name, meant):
    columns = [name, *({"case_id", "pre", "post", "tumor", "ablation"} - {meant})]
    (tmp_path / "m.csv").write_text(",".join(columns) + "\n" + ",".join("x" * len(columns)) + "\n")
    with pytest.raises(InputError, match=f"MANIFEST_COLUMN.*Write {meant}"):
        read_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    "name",
    [
        *("ltp", "months", "patient_id", "tumor_site", "lesion_size_mm", "site", "size_mm", "death"),
        *("RAS", "KRAS status", "Lesion", "liver", "case no", "ablation zone"),  # all known columns are there
        *("liver_disease", "grass", "lesions_total", "zone_size_mm"),
    ],
)
def test_columns_of_ones_own_are_no_typos(cases, rows, name):
    own = [dict(row) | {name: "1"} for row in rows]
    assert name in read_manifest(write_manifest(cases / "own.csv", own)).carried_columns


def test_columns_that_are_missing_or_taken(tmp_path):
    (tmp_path / "m.csv").write_text("case_id,pre,mam_mm,verdict\na,b,1,2\n")
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path / "m.csv")
    told = str(caught.value)
    for words in ("no column post", "tumor_point", "ablation_axis", "the column mam_mm", "the column verdict"):
        assert words in told


def test_numbers_in_names_of_lesions_are_ordered_by_size(rows, write):
    ids = ["10", "9", "b10", "b9", "b", "100000000000000000000", "99999999999999999999", "1b"]
    lesions = [dict(rows[0], lesion_id=name, tumor="", tumor_point=f"1,2,{n}") for n, name in enumerate(ids)]
    (case,) = read_manifest(write(lesions)).cases
    assert case.lesion_ids == ("b", "b9", "b10", "1b", "9", "10", "99999999999999999999", "100000000000000000000")


CELLS = [
    ({"case_id": ""}, "case_id"),
    ({"case_id": "../evil"}, "case_id"),
    ({"case_id": "results.csv"}, "case_id"),
    ({"case_id": "LOGS"}, "case_id"),
    ({"case_id": "a.previous-1"}, "case_id"),
    ({"lesion_id": "a/b"}, "lesion_id"),
    ({"lesion_id": "7" * 5000}, "lesion_id"),
    ({"lesion_id": "²"}, "lesion_id"),
    ({"pre": ""}, "pre"),
    ({"pre": "none"}, "pre"),
    ({"post": "none" * 100}, "post"),
    ({"liver_pre": "none.nii.gz#Liver"}, "liver_pre"),
    ({"tumor": ""}, "tumor/tumor_point/tumor_axis"),
    ({"tumor_point": "1,2,3"}, "tumor/tumor_point"),
    ({"ablation": "", "ablation_point": "1,2"}, "ablation_point"),
    ({"ablation": "", "ablation_axis": "1,2,3,1,2,3"}, "ablation_axis"),
    ({"ras_mutation": "kras"}, "ras_mutation"),
    ({"accept": "EVERYTHING"}, "accept"),
    ({"reviewed": "maybe"}, "reviewed"),
]


@pytest.mark.parametrize(("change", "column"), CELLS, ids=lambda value: str(value)[:60])
def test_cells_at_fault_are_told_by_row_and_column(rows, write, change, column):
    path = write([dict(rows[0]) | dict.fromkeys(change, ""), dict(rows[1]) | change])
    told = faults_of(path)
    assert ("MANIFEST_CELL", f"row 3, column {column}") in told


def test_all_faults_of_all_rows_at_once_in_their_order(rows, write):
    bad = [dict(rows[0]) | change for change, _ in CELLS[:7]]
    told = faults_of(write(bad))
    assert len({source for _, source in told}) >= 7
    numbers = [int(source.split(",")[0].removeprefix("row ")) for _, source in told]
    assert numbers == sorted(numbers)


def test_of_a_disk_that_is_not_there_fifty_faults_are_told_and_the_others_counted(rows, write):
    gone = [
        dict(rows[0], case_id=f"c{number}", lesion_id="1", pre="none/a", tumor="none/b" if number % 2 else "")
        for number in range(100)
    ]
    with pytest.raises(InputError) as caught:
        read_manifest(write(gone))
    *shown, rest = caught.value.faults
    assert len(shown) == 50
    assert rest.found == "150 more faults (75 in pre, 38 in tumor, 37 in tumor/tumor_point/tumor_axis)"


def test_of_rows_with_wrong_numbers_of_cells_too(tmp_path):
    (tmp_path / "m.csv").write_text("case_id,pre\n" + "a,b,c\n" * 1000)
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path / "m.csv")
    assert len(caught.value.faults) == 51
    assert caught.value.faults[-1].found == "950 more faults"


@pytest.mark.parametrize(
    ("second", "column"),
    [
        ({"lesion_id": "b"}, "lesion_id"),
        ({"lesion_id": "B"}, "lesion_id"),
        ({"lesion_id": ""}, "lesion_id"),
        ({"ras_mutation": "mutant"}, "ras_mutation"),
        ({"post": "c1/post.nii.gz"}, "post"),
        ({"liver_post": "c1/liver-post.nii.gz"}, "liver_post"),
        ({"tumor": "c0/tumor-1.nii.gz"}, "tumor"),
    ],
)
def test_lesions_of_one_case_that_contradict_each_other(rows, write, second, column):
    told = faults_of(write(two_lesions(rows, **second)))
    assert [source.split("column ")[1] for _, source in told] == [column]


def test_ids_that_are_one_folder_on_some_disks(rows, write):
    assert faults_of(write([rows[0], dict(rows[1], case_id="C0")])) == [("MANIFEST_CELL", "row 3, column case_id")]


def test_no_column_of_results_is_one_of_the_manifest():
    from ablmargin.batch.columns import RESULT_COLUMNS

    assert not RESULT_COLUMNS & set(COLUMNS)
