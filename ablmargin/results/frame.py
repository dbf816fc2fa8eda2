"""Results as a pandas table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ablmargin.batch.rows import as_numbers
from ablmargin.errors import MissingExtraError
from ablmargin.results.files import Source, read_results
from ablmargin.results.rows import IDS, KINDS, WORDS, ResultRows

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_DTYPES = {"text": "string", "number": "float64", "whole": "Int64", "flag": "boolean"}


def load_results(sources: Source | Iterable[Source]) -> DataFrame:
    """Read results into a table with a row a lesion; see docs/notebooks.md for its columns.

    Parameters
    ----------
    sources : path or paths
        Case folders, a batch's folder, a folder of case folders, result.json files, tables (CSV, Parquet).

    Returns
    -------
    pandas.DataFrame
        ``case_id``, ``lesion_id``, the columns that a manifest carried through, then those of ``result.json``,
        flattened, always all of them. Margins are in mm and signed, NaN where not known; text, flags and counts are NA then.
        Verdicts are ordered categories, the worst first. Lesions that were refused are rows with ``error_code``.

    Raises
    ------
    InputError
        With everything that is wrong, by file, row and column; see :func:`ablmargin.results.files.read_results`.
    MissingExtraError
        Without pandas.
    """
    return frame_of(read_results(sources))


def frame_of(results: ResultRows) -> DataFrame:
    """Rows as a table."""
    require_pandas()
    import pandas as pd  # noqa: PLC0415 - an extra

    names = [*IDS, *results.carried, *(name for name in KINDS if name not in IDS)]
    return pd.DataFrame({name: _column(name, [row.get(name) for row in results.rows]) for name in names})


def require_pandas() -> None:
    """Raise MissingExtraError unless pandas is installed."""
    try:
        import pandas as pd  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise MissingExtraError(
            'a table of results needs the package pandas: pip install "ablmargin[cohort]"'
        ) from None


def _column(name: str, cells: list[Any]) -> Series[Any]:
    import pandas as pd  # noqa: PLC0415 - an extra

    if name in WORDS:
        return pd.Series(pd.Categorical(cells, categories=list(WORDS[name]), ordered=name != "ras_mutation"))
    if name in KINDS:
        return pd.Series(cells, dtype=_DTYPES[KINDS[name]])
    numbers = as_numbers(name, [cell or "" for cell in cells])
    return pd.Series(cells, dtype="string") if numbers is None else pd.Series(numbers, dtype="float64")
