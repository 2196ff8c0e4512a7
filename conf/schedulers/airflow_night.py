"""The night as an Airflow DAG: a file for its dags folder.

A night catches up by itself on all days that were missed, so Airflow doesn't have to. A second try
finds what the first one did.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="pcb_spark_night",
    description="Take in and score what the day's cameras delivered",
    schedule="15 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    tags=["pcb_spark"],
) as dag:
    BashOperator(
        task_id="night",
        bash_command="/opt/pcb_spark/conf/schedulers/run-night ",
        # run-night has its own tries; these are for a worker that was lost.
        retries=2,
        retry_delay=timedelta(minutes=10),
    )
