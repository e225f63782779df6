"""Show what the room costs that new items get by their content."""

from collections.abc import Sequence

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from evaluation.segments import ITEM_GROUP
from models.base import MOST_ROOM
from models.registry import Candidate
from reports.display import say_sample
from storage.manifest import Manifest
from tasks.attributes import PRODUCTS
from tasks.choose import NDCG
from tasks.options import PlaceOptions
from tasks.score import Scored, read_segments

TIMES = (0.0, 1.0, 2.0)
SEGMENTS = ("cold", "tail", "torso", "head")
ABOUT = "{} on validation{} by the room that new items get: of all items held out, and of those of each segment"


def other_rooms(split: Manifest, best: Candidate) -> list[Candidate]:
    """Return a candidate with no room for new items, its own and up to twice as much; none without products."""
    name, parameters = best.kind.room, best.parameters
    if PRODUCTS not in split.inputs or name is None or not parameters.get(name):
        return []
    rooms = dict.fromkeys(min(times * parameters[name], MOST_ROOM) for times in TIMES)
    return [best.model_copy(update={"parameters": {**parameters, name: room}}) for room in rooms]


@task(name="show room")
def show_room(places: PlaceOptions, priced: Sequence[Scored]) -> None:
    """Show NDCG@10 on validation with each room, in all and of the items of each segment, as a table and in the log."""
    rows, sample = [], say_sample(priced[0].sampled_users)
    for one in priced:
        scores = [of for of in read_segments(places, one.scores) if of.group == ITEM_GROUP and of.metric == NDCG]
        segments = {of.segment: of.value for of in scores}
        found = {"all": one.value(NDCG), **{name: segments.get(name) for name in SEGMENTS}}
        shown = {name: "none held out" if value is None else f"{value:.4f}" for name, value in found.items()}
        rows.append({"room": f"{one.candidate.parameters[str(one.candidate.kind.room)]:g}", **shown})
        said = ", ".join(f"{name} {value}" for name, value in shown.items())
        about = rows[-1]["room"], NDCG, sample, said
        logger.info("Room {} for new items: {} on validation{}, by items held out: {}", *about)
    create_table_artifact(rows, key="room", description=ABOUT.format(NDCG, sample))
