from __future__ import annotations

from benchmarks.packing import Layout
from pcb_spark.core.pairs import Reading


def test_another_process_reads_pairs_as_this_one_does() -> None:
    told = Layout(batch_size=8, reading=Reading(difference=True, max_offset=0.08, bit_depth=12))

    assert Layout.from_json(told.to_json()) == told
