"""A plant's own words, columns, separator and encoding, as the configuration says them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.ingest import verdict_form, verdicts
from pcb_spark.pipeline import config
from tests.rows import manifest_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("verdict_words={TRUE='fail', true='pass'}", "says that true is pass, and fail as well"),
        ("verdict_words={'False Call'='pass', FALSE_CALL='fail'}", "FALSE_CALL is fail, and pass"),
        ("verdict_words={Pass='fail'}", "says that Pass is fail, and pass as well"),
        ("verdict_words={' '='fail'}", "has an empty word"),
        ("verdict_words={TRUE='bad'}", "should be 'pass', 'fail' or 'unverified'"),
        ("verdict_columns={picture='Bild'}", "names picture; our columns are image, "),
        ("verdict_columns={image='Bild', reference=' bild '}", "takes bild for more than one"),
        ("verdict_columns={image=' '}", "takes an empty name for"),
        ("verdict_separator=';;'", "is no separator"),
        ("verdict_separator='x'", "is no separator"),
        ("verdict_encoding='latin-99'", "is no encoding"),
        ("verdict_encoding='base64'", "is no encoding"),
    ],
)
def test_settings_that_contradict_themselves_stop_before_spark(key: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(None, [f"ingest.{key}"])
    assert said in str(caught.value)


def test_settings_as_they_are_meant() -> None:
    found = config.load(
        None,
        ["ingest.verdict_words.true=fail", "ingest.verdict_separator=tab",
         "ingest.verdict_encoding=cp1250", "ingest.verdict_columns={image='Bild'}"],
    ).ingest  # fmt: skip
    assert found.verdict_words == {"true": "fail"}
    assert found.verdict_separator == "\t"
    assert config.load(None, ["ingest.verdict_separator=;"]).ingest.verdict_separator == ";"


def test_no_known_word_is_written_otherwise_than_it_is_looked_for() -> None:
    assert [verdict_form.canonical(word) for word in verdict_form.KNOWN_WORDS] == [
        *verdict_form.KNOWN_WORDS
    ]


SAID = {
    "PASS ": "pass", "OK": "pass", "Good": "pass", "False Call": "pass", "false-call": "pass",
    "NG": "fail", "bad": "fail", "TRUE_DEFECT": "fail", "Not OK": "fail", "Pending": None,
    "Not verified yet": None, "i.O.": "pass", "合格": "pass",
    "TRUE": "true", "False": "false", "1": "1", "0": "0", "Y": "y", "accepted": "accepted",
    "rejected": "rejected", "confirmed": "confirmed", "repaired": "repaired", "F": "f",
}  # fmt: skip


def test_words_that_all_plants_mean_alike_are_known_and_the_others_are_not(
    spark: SparkSession,
) -> None:
    raw = spark.createDataFrame(
        [(word, word) for word in SAID], "operator_id string, verdict string"
    )
    rows = manifest_of(raw).orderBy("row_number").select("verdict").collect()
    assert [row[0] for row in rows] == [*SAID.values()]


def test_a_plants_own_words_count_first(spark: SparkSession) -> None:
    words = {"TRUE": "fail", "good catch": "fail", "Pending": "pass", "n/a": "unverified"}
    given = ["True", "GOOD-CATCH", "pending", "N/A", "OK"]
    raw = spark.createDataFrame([(word,) for word in given], "verdict string")
    others = ("image", "reference", "captured_at", "verified_at")
    blank = raw.selectExpr("verdict", *(f"string(null) {name}" for name in others))
    rows = verdicts.read_manifest(blank, words=words).select("verdict").collect()
    assert [row[0] for row in rows] == ["fail", "fail", "pass", None, "pass"]
