from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from schema.dataset import KCorePass
from spark.kcore import k_core

Edges = Collection[tuple[int, int]]

graphs = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40)


def naive_k_core(edges: Edges, k: int) -> set[tuple[int, int]]:
    """Drop one low node at a time until there is none."""
    left = set(edges)
    while True:
        for side in (0, 1):
            nodes = {edge[side] for edge in left}
            low = {node for node in nodes if sum(edge[side] == node for edge in left) < k}
            if low:
                left = {edge for edge in left if edge[side] not in low}
                break
        else:
            return left


def frame(session: SparkSession, edges: Edges) -> DataFrame:
    return session.createDataFrame(sorted(edges), "user long, item long")


def left_by(session: SparkSession, edges: Edges, k: int) -> tuple[set[tuple[int, int]], tuple[KCorePass, ...]]:
    core, passes = k_core(frame(session, edges), "user", "item", k)
    return {(row.user, row.item) for row in core.collect()}, passes


def test_k_core_drops_the_chain_that_one_filter_leaves(session):
    square = [(1, 1), (1, 2), (2, 1), (2, 2)]
    tail = [(3, 2), (3, 3), (4, 3)]  # user 4 is low; without it item 3 is; without that user 3 is
    left, passes = left_by(session, [*square, *tail], k=2)
    assert left == set(square)
    assert passes == (
        KCorePass(1, n_users=3, n_items=3, n_interactions=6),
        KCorePass(2, n_users=3, n_items=2, n_interactions=5),
        KCorePass(3, n_users=2, n_items=2, n_interactions=4),
        KCorePass(4, n_users=2, n_items=2, n_interactions=4),
    )


def test_k_core_of_a_graph_without_core_is_empty(session):
    left, passes = left_by(session, [(1, 1), (2, 2)], k=2)
    assert left == set()
    assert passes[-1] == KCorePass(2, n_users=0, n_items=0, n_interactions=0)


@settings(max_examples=15, derandomize=True)
@given(edges=graphs, k=st.integers(1, 3))
def test_k_core_equals_dropping_one_by_one(session, edges, k):
    left, passes = left_by(session, edges, k)
    assert left == naive_k_core(edges, k)
    assert passes[-1].n_interactions == len(left)
