"""Published figures of ranking quality, to hold measured ones against: full catalogue, training items left out."""

from typing import NamedTuple

MMREC, OTHER_PAPER = "MMRec", "other paper"
INTERACTIONS_ALONE, CONTENT_TOO = False, True


class Published(NamedTuple):
    """Figures of one model.

    Attributes:
        model: Its name.
        uses_content: Whether it learns from images and text as well as from interactions.
        source: Where the figures are from: MMRec's evaluation tables, or another paper, on its own random splits.
        values: By metric, such as ``recall_20``; without those that the source does not have.
    """

    model: str
    uses_content: bool
    source: str
    values: dict[str, float]


def _of_mmrec(model: str, uses_content: bool, r_10: float, r_20: float, n_10: float, n_20: float) -> Published:
    return Published(
        model, uses_content, MMREC, {"recall_10": r_10, "recall_20": r_20, "ndcg_10": n_10, "ndcg_20": n_20}
    )


def _of_paper(model: str, uses_content: bool, recall_20: float, ndcg_10: float) -> Published:
    return Published(model, uses_content, OTHER_PAPER, {"recall_20": recall_20, "ndcg_10": ndcg_10})


Size = tuple[int, int, int]
"""Users, items and interactions, which tell a data set."""

BY_SIZE: dict[Size, tuple[Published, ...]] = {
    (19_445, 7_050, 160_792): (  # Amazon Baby of 2014, 5-core
        _of_mmrec("BPR", INTERACTIONS_ALONE, 0.0357, 0.0575, 0.0192, 0.0249),
        _of_mmrec("LightGCN", INTERACTIONS_ALONE, 0.0479, 0.0754, 0.0257, 0.0328),
        _of_paper("DirectAU", INTERACTIONS_ALONE, 0.0672, 0.0263),
        _of_paper("LayerGCN", INTERACTIONS_ALONE, 0.0820, 0.0281),
        _of_mmrec("LATTICE", CONTENT_TOO, 0.0547, 0.0850, 0.0292, 0.0370),
        _of_mmrec("ADDVAE", CONTENT_TOO, 0.0598, 0.0910, 0.0323, 0.0404),
        _of_mmrec("FREEDOM", CONTENT_TOO, 0.0627, 0.0992, 0.0330, 0.0424),
        _of_paper("COHESION", CONTENT_TOO, 0.1052, 0.0354),
        _of_paper("DANCE", CONTENT_TOO, 0.1061, 0.0374),
    ),
    (192_403, 63_001, 1_689_188): (  # Amazon Electronics of 2014, 5-core
        _of_paper("LightGCN", INTERACTIONS_ALONE, 0.0540, 0.0204),
        _of_paper("ADDVAE", CONTENT_TOO, 0.0665, 0.0253),
    ),
}
