from __future__ import annotations

import pytest

from pcb_spark.core.errors import ConfigError
from pcb_spark.lake import jars, stores


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("/data/drop", "file"), ("out/run", "file"), ("file:///data", "file"),
        ("hdfs://name:8020/pcb", "hdfs"), ("WASBS://drop@plant.blob.core.windows.net/", "wasbs"),
        ("s3a://plant/drop", "s3a"),
    ],
)  # fmt: skip
def test_scheme(uri: str, scheme: str) -> None:
    assert stores.scheme(uri) == scheme


def test_each_connector_is_named_once() -> None:
    found = stores.connectors(
        ["abfss://a@b.dfs.core.windows.net/x", "wasb://a@b/x", "/data", "s3a://a/x", "hdfs://n/x"]
    )
    assert [connector.packages for connector in found] == [
        "org.apache.hadoop:hadoop-azure:3.3.4", "org.apache.hadoop:hadoop-aws:3.3.4",
    ]  # fmt: skip
    assert stores.connectors(["/data", "hdfs://n/x"]) == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://plant/drop", "say s3a:// in place of it"),
        ("s3n://plant/drop", "say s3a:// in place of it"),
        ("gs://plant/drop", "paths.drop lies on gs:, which no connector opens"),
    ],
)
def test_place_that_nothing_opens(uri: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stores.check({"paths.drop": uri}, {})
    assert said in str(caught.value)


def test_password_in_a_place_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"paths\.out holds a user and a password") as caught:
        stores.check({"paths.out": "s3a://AKIA:hunter2hunter2@plant/out"}, {})
    assert "hunter2" not in str(caught.value)
    assert "managed identity" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "spark.hadoop.fs.azure.account.key.plant.blob.core.windows.net",
        "spark.hadoop.fs.azure.sas.drop.plant.blob.core.windows.net",
        "spark.hadoop.fs.azure.sas.fixed.token.plant.dfs.core.windows.net",
        "spark.hadoop.fs.azure.account.oauth2.client.secret",
        "spark.hadoop.fs.azure.account.oauth2.refresh.token",
        "spark.hadoop.fs.azure.account.oauth2.user.password",
        "spark.hadoop.fs.s3a.access.key", "spark.hadoop.fs.s3a.secret.key",
        "spark.hadoop.fs.s3a.session.token", "spark.hadoop.fs.s3a.bucket.plant.secret.key",
        "spark.hadoop.fs.s3a.encryption.key", "fs.s3a.secret.key",
    ],
)  # fmt: skip
def test_secret_of_a_setting_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stores.check({}, {name: "hunter2hunter2"})
    assert f"spark.conf holds a secret: {name}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    stores.check({}, {name: "${env.PLANT_KEY}"})


@pytest.mark.parametrize(
    "name",
    [
        "spark.hadoop.hadoop.security.credential.provider.path",
        "spark.hadoop.hadoop.security.credstore.java-keystore-provider.password-file",
        "spark.hadoop.fs.s3a.aws.credentials.provider", "spark.hadoop.fs.s3a.endpoint",
        "spark.hadoop.fs.azure.account.oauth2.msi.tenant",
        "spark.hadoop.fs.azure.account.oauth2.client.id",
        "spark.hadoop.fs.azure.account.oauth2.refresh.token.endpoint",
        "spark.hadoop.fs.azure.account.oauth.provider.type",
        "spark.hadoop.fs.azure.sas.token.provider.type",
    ],
)  # fmt: skip
def test_setting_that_is_no_secret(name: str) -> None:
    stores.check({}, {name: "value"})


def test_secrets_are_hidden_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("SHORT_KEY", "local")
    text = (
        "GET https://a/b?sv=1&sig=abc%3D&se=2 of wasb://drop@host:1/x@y, s3a://u:pw@b/, "
        "AccountKey=xyz==; wJalrXUtnFEMI/K7MDENG on local"
    )
    assert stores.redacted(text) == (
        "GET https://a/b?sv=1&sig=***&se=2 of wasb://drop@host:1/x@y, s3a://u:***@b/, "
        "AccountKey=***; *** on local"
    )


def test_properties_of_clusters_name_the_same_connectors() -> None:
    text = jars.default_properties_file().read_text(encoding="utf-8")
    for connector in stores.connectors(["wasb:", "s3a:"]):
        assert f"#   ,{connector.packages}\n" in text
