from __future__ import annotations

import operator
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from pcb_spark.core.errors import ConfigError
from pcb_spark.lake import folders
from pcb_spark.pipeline import config
from pcb_spark.pipeline.config import load


def refused(*overrides: str, path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value)


def file(folder: Path, content: str | bytes) -> Path:
    path = folder / "job.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_nothing_given_is_all_defaults() -> None:
    assert load(None) == config.Config()
    assert (load(None).folds.n, load(None).policy.max_slip_rate) == (4, 0.02)


def test_file_is_read_and_the_rest_stays_default(tmp_path: Path) -> None:
    text = "seed = 3\n[folds]\nn = 2\n[scoring]\nsince = 2026-01-05\n"
    found = load(file(tmp_path, text))
    assert (found.seed, found.folds.n, found.folds.gap_days) == (3, 2, 0)
    assert found.scoring.since == date(2026, 1, 5)


def test_overrides_win_over_the_file_and_the_last_one_over_the_others(tmp_path: Path) -> None:
    path = file(tmp_path, "[folds]\nn = 2\ngap_days = 1\n")
    found = load(path, ["folds.n=5", "folds.n=6"])
    assert (found.folds.n, found.folds.gap_days) == (6, 1)


def test_one_text_may_hold_several_settings() -> None:
    text = (
        ' folds.n=5  seed=3 ingest.verdict_time_format="%d.%m.%Y %H:%M"'
        ' ingest.verdict_columns={verdict="my seed=no", image="bild"} features.reference=none'
    )
    found = load(None, [text])

    assert (found.folds.n, found.seed, found.features.reference) == (5, 3, "none")
    assert found.ingest.verdict_time_format == ("%d.%m.%Y %H:%M",)
    assert found.ingest.verdict_columns == {"verdict": "my seed=no", "image": "bild"}


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("features.levels=['layer1', 'layer2']", "features", "levels", ("layer1", "layer2")),
        ('features.pooling=["max"]', "features", "pooling", ("max",)),
        ("features.reference=none", "features", "reference", "none"),
        (" features.reference = none ", "features", "reference", "none"),
        ("scoring.reuse_features=false", "scoring", "reuse_features", False),
        ("scoring.until=2026-02-01", "scoring", "until", date(2026, 2, 1)),
        ("policy.confidence=0.9", "policy", "confidence", 0.9),
        ("paths.drop=/data/a b=c", "paths", "drop", "/data/a b=c"),
        ("paths.drop='it=is'", "paths", "drop", "it=is"),
        ("backbone.levels={layer1 = 'x'}", "backbone", "levels", {"layer1": "x"}),
        ("backbone.levels.layer1='x'", "backbone", "levels", {"layer1": "x"}),
        ("spark.conf={'spark.ui.port' = '1'}", "spark", "conf", {"spark.ui.port": "1"}),
    ],
)
def test_forms_of_an_override(override: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(load(None, [override]), section), key) == value


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("folds.number=3", "folds.n"),
        ("feature.levels=[]", "features.levels"),
        ("features.level=[]", "features.levels"),
        ("policy.max_slip=0.1", "policy.max_slip_rate"),
        ("sead=1", "seed"),
    ],
)
def test_unknown_key_names_the_nearest(override: str, nearest: str) -> None:
    message = refused(override)
    assert message.startswith("unknown key ")
    assert message.endswith(f"next: did you mean {nearest}?")


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("backbone.allow_untrained=true", 'backbone.weights = "untrained" says it by itself'),
        ("backbone.compared_images=500", "set backbone.precision to int8 or fp32"),
        ("inference.batch_size=4", "8 images a call measured best"),
    ],
)
def test_key_that_is_gone_says_what_to_do(override: str, advice: str) -> None:
    message = refused(override)
    assert message.startswith(
        f"unknown key {override.partition('=')[0]} in --set\n  next: leave it"
    )
    assert advice in message


@pytest.mark.parametrize(
    ("bound", "advice"),
    [
        ("independent", "leave policy.bound out, or set it to 'next'"),
        ("board", "set policy.bound to 'lot', which lets lots differ"),
    ],
)
def test_bound_that_is_gone_says_what_to_set(tmp_path: Path, bound: str, advice: str) -> None:
    path = file(tmp_path, f'[policy]\nbound = "{bound}"\n')
    for message in (refused(f"policy.bound={bound}"), refused(path=path)):
        assert message.startswith("policy.bound in ")
        assert f"expected: 'next' or 'lot': '{bound}'" in message.replace("Value error, ", "")
        assert advice in message
        assert f"got: '{bound}'" in message


def test_bounds_that_are_there() -> None:
    assert load(None).policy.bound == "next"
    assert load(None, ["policy.bound=lot"]).policy.promise.bound == "lot"
    assert "'next' or 'lot'\n  got: 'mean'" in refused("policy.bound=mean")


def test_mistyped_section_of_a_file(tmp_path: Path) -> None:
    path = file(tmp_path, "[fold]\nn = 3\n")
    assert refused(path=path) == (
        f"unknown key fold in {path} or --set\n  next: did you mean folds.n?"
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("folds.n=0", "greater than or equal to 1\n  got: 0"),
        ("folds.n=2.5", "valid integer, got a number with a fractional part\n  got: 2.5"),
        ("folds.n=many", "unable to parse string as an integer\n  got: 'many'"),
        ("folds.group=panel", "'board' or 'lot'\n  got: 'panel'"),
        ("folds.first_fraction=1", "less than 1\n  got: 1"),
        ("policy.max_slip_rate=0", "greater than 0\n  got: 0"),
        ("policy.max_slip_rate=nan", "less than 1\n  got: nan"),
        ("policy.confidence=0.5", "greater than 0.5\n  got: 0.5"),
        ("ingest.max_pixels=0", "greater than 0\n  got: 0"),
        ("ingest.pattern='(?P<lot>'", "is no regular expression"),
        ("ingest.pattern='(?P<lots>.)'", "groups that nothing is called: lots"),
        ("ingest.timezone='Europe/Atlantis'", "expected an IANA name such as Europe/Berlin"),
        ("features.levels=layer1", "valid tuple\n  got: 'layer1'"),
        ("features.levels=['layer9']", "'layer4' or 'avgpool'\n  got: 'layer9'"),
        ("features.levels=['layer1', 'layer1']", "names one entry twice"),
        ("features.pooling=['max', 'max']", "names one entry twice"),
        ("scoring.since=yesterday", "input is too short\n  got: 'yesterday'"),
        ("paths.drop=7", "valid string\n  got: 7"),
        ("folds=3", "instance of FoldsConfig\n  got: 3"),
    ],
)
def test_value_of_the_wrong_kind_or_out_of_range(override: str, expected: str) -> None:
    message = refused(override)
    assert message.startswith(override.partition("=")[0])
    assert " in --set can't be used\n  expected: " in message
    assert expected in message


@pytest.mark.parametrize("override", ["folds.n", "=3", ".n=3", "folds.=3", "folds..n=3", ""])
def test_override_that_is_no_assignment(override: str) -> None:
    assert refused(override) == (
        f"--set {override} can't be understood\n  expected: section.key=value\n"
        "  next: e.g. --set folds.n=5"
    )


def test_override_below_a_value(tmp_path: Path) -> None:
    assert refused("seed.x=1", path=file(tmp_path, "seed = 1\n")) == (
        "--set seed.x=1: seed is a value, not a section\n  next: did you mean seed?"
    )


@pytest.mark.parametrize(
    ("content", "got"),
    [
        ("n = \n", "Invalid value (at line 1"),
        ("[folds]\nn = 3\nn = 4\n", "Cannot overwrite a value"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        ("<?xml version='1.0'?>", "Invalid statement (at line 1"),
    ],
)
def test_file_that_is_no_toml(tmp_path: Path, content: str | bytes, got: str) -> None:
    path = file(tmp_path, content)
    message = refused(path=path)
    assert message.startswith(f"{path} can't be read as TOML\n  got: ")
    assert got in message


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refused(path=path).startswith(f"no configuration file {path}\n  next: ")


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert "Is a directory" in refused(path=tmp_path)


def test_every_fault_is_counted(tmp_path: Path) -> None:
    path = file(tmp_path, "[folds]\nn = 0\ngap_days = -1\n")
    assert "2 value(s) to correct" in refused(path=path)


def test_configuration_is_frozen() -> None:
    found = load(None)
    with pytest.raises(ValidationError, match="frozen"):
        found.seed = 1
    with pytest.raises(ValidationError, match="frozen"):
        found.folds.n = 1


def test_hash_tells_configurations_apart_and_equal_ones_not(tmp_path: Path) -> None:
    one = load(file(tmp_path, "seed = 1\n[folds]\nn = 2\n"))
    same = load(None, ["folds.n=2", "seed=1"])
    other = load(None, ["folds.n=2", "seed=2"])
    assert one.sha256() == same.sha256()
    assert one.sha256() != other.sha256()
    assert len(one.sha256()) == 64


def test_known_keys_are_dotted_and_complete() -> None:
    keys = config.known_keys()
    assert keys[:3] == ("seed", "paths.drop", "paths.out")
    assert {"features.levels", "backbone.sha256", "scoring.since", "spark.conf"} <= set(keys)
    assert "features" not in keys
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("demo.toml", "policy.max_slip_rate", 0.05),
        ("local.toml", "spark.driver_memory", "4g"),
        ("nightly.toml", "scoring.reuse_features", False),
        ("service.toml", "ingest.settle_seconds", 10),
    ],
)
def test_profiles_are_loaded_by_name_where_there_is_no_such_file(
    name: str, key: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert operator.attrgetter(key)(load(Path(name))) == value

    (tmp_path / name).write_text("seed = 8\n", encoding="utf-8")
    assert load(Path(name)).seed == 8


def test_every_profile_is_listed_and_tried_here() -> None:
    assert list(folders.profiles()) == ["demo.toml", "local.toml", "nightly.toml", "service.toml"]


@pytest.mark.parametrize("path", ["conf/demo.toml", "./none/nightly.toml", "nightl.toml"])
def test_a_path_that_is_no_file_is_not_a_profile(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no configuration file") as caught:
        load(Path(path))
    assert "demo.toml, local.toml, nightly.toml, service.toml" in str(caught.value)


def test_jars_weights_and_trials_share_a_cache_that_xdg_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    found = load(None)
    assert folders.cache_folder() == tmp_path / "caches" / "pcb_spark"
    assert found.backbone.cache_folder == folders.cache_folder()
    assert found.tune.storage_file == folders.cache_folder() / "tune.db"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.cache_folder() == tmp_path / ".cache" / "pcb_spark"

    moved = load(None, ["backbone.cache=~/weights", "tune.storage=~/trials.db"])
    assert moved.backbone.cache_folder == tmp_path / "weights"
    assert moved.tune.storage_file == tmp_path / "trials.db"
    assert folders.cache_folder() == tmp_path / ".cache" / "pcb_spark"


def test_classifier_defaults_follow_the_reference_mode_unless_set() -> None:
    found = load(None, ["classifier.num_leaves=7"]).classifier

    without = found.for_reference_mode(difference=False)
    assert (without.num_iterations, without.learning_rate, without.num_leaves) == (300, 0.05, 7)
    with_reference = found.for_reference_mode(difference=True)
    assert (with_reference.num_iterations, with_reference.learning_rate) == (200, 0.1)
    assert with_reference.num_leaves == 7


@pytest.mark.parametrize(
    "override",
    ["classifier.num_iterations=200", "classifier.learning_rate=0.1", "classifier.num_leaves=31"],
)
def test_what_is_set_to_the_default_of_one_reference_mode_is_another_configuration(
    override: str,
) -> None:
    found, plain = load(None, [override]), load(None)

    trees = [each.classifier.for_reference_mode(difference=False) for each in (found, plain)]
    assert trees[0] != trees[1]
    assert found.sha256() != plain.sha256()
    assert load(None, [override]).sha256() == found.sha256()


@pytest.mark.parametrize(
    ("given", "names"),
    [("'v.csv'", ("v.csv",)), ("['a.csv', 'late/*.json']", ("a.csv", "late/*.json")), ("[]", ())],
)
def test_verdict_files_are_one_name_or_several(given: str, names: tuple[str, ...]) -> None:
    assert config.load(None, [f"ingest.verdicts={given}"]).ingest.verdicts == names


@pytest.mark.parametrize("key", ["paths.drop", "paths.out", "ingest.checkpoint"])
def test_place_that_no_connector_opens(key: str) -> None:
    message = refused(f"{key}=s3://plant/x")
    assert message.startswith(f"{key} lies on s3:")
    assert "s3a://" in message


def test_secret_is_refused_and_not_repeated() -> None:
    message = refused('spark.conf={"spark.hadoop.fs.s3a.secret.key" = "hunter2hunter2"}')
    assert "spark.conf holds a secret: spark.hadoop.fs.s3a.secret.key" in message
    assert "hunter2" not in message
    load(None, ['spark.conf={"spark.hadoop.fs.s3a.secret.key" = "${env.PLANT_KEY}"}'])


def test_a_configuration_is_read_without_spark() -> None:
    """Nor with anything else that takes seconds to import, or that an edge machine lacks."""
    code = (
        "import sys; from pcb_spark.pipeline import config; config.load(None, [])\n"
        "print(sorted({'pyspark', 'py4j', 'pandas', 'onnx', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
