# %% [markdown]
# # From reviews to answers
#
# A raw file of reviews becomes a model, an honest verdict on it, and a service that answers with reasons. Every
# step is a call of the project's own functions, so that what happens here is what `python flows/train.py` and
# `make serve` do.
#
# The data are those of `make demo`, the reviews of an invented shop. For your own, change the path of `reviews`.
# Training takes a minute or two; what is done already, by `make demo` too, is found and not done again.

# %%
import gzip
import json
import os
import sys
import warnings
from pathlib import Path

import httpx
import pandas as pd
from IPython.display import HTML

from flows.child_server import LOOPBACK, Check, ChildServer, free_port
from flows.runtime import run_flow
from flows.settings import Environment, Settings, read
from flows.train import train
from reports.charts import draw_differences
from reviews.sample import write_sample
from storage import artifacts, layout
from tasks.evidence import compare_with
from tasks.fit import candidate_of
from tasks.score import Scored
from tasks.store import local_file, read_table

# %%
if Path.cwd().name == "notebooks":
    os.chdir("..")  # where commands run, and data/ is
os.environ.setdefault("LOG_LEVEL", "WARNING")
warnings.filterwarnings("ignore", "IProgress not found")  # of widgets, which nothing here needs
pd.set_option("display.precision", 4, "display.max_colwidth", 120)
places = read(Environment).places
store = places.open_store()

# %% [markdown]
# ## The raw file
#
# One review a line, as Amazon's files have them. A few lines are broken and a few reviews are there twice, as in
# real files.

# %%
reviews = Path("data/sample/sample-reviews.json.gz")
products = Path("data/sample/sample-products.json.gz")
if not reviews.exists():
    write_sample(reviews.parent)
with gzip.open(reviews, "rt", encoding="utf-8") as lines:
    first = json.loads(next(lines))
first

# %% [markdown]
# ## Training
#
# `train` reads and checks the file, cleans it, splits it by time, searches for a model among simple baselines,
# measures the best on what was held out, publishes it and writes ten recommendations for every user. It returns a
# record of what it made.

# %%
settings = read(Settings, {"input_reviews": str(reviews), "input_products": str(products)})
record = run_flow(train, {name: getattr(settings, name) for name in train.parameters.properties})
pd.Series(record["ids"], name="id of what was made").to_frame()

# %% [markdown]
# Nothing is dropped in silence: what a check refuses is in the quarantine, with its line and the reason.

# %%
checked = artifacts.find(store, layout.REVIEWS_KIND, record["ids"]["reviews"])
quarantine = read_table(places, checked, layout.QUARANTINE).to_pandas()
quarantine.groupby("reason").agg(lines=("line", "size"), first_line=("line", "min"))

# %%
counts = record["counts"]
pd.Series(
    {
        "lines read": counts["reviews"]["n_lines"],
        "in quarantine": counts["reviews"]["n_quarantined"],
        "repeated": counts["dataset"]["n_duplicates"],
        "interactions of users and items that have enough": counts["dataset"]["n_interactions"],
        "to learn from": counts["split"]["train_n_rows"],
        "to choose by": counts["split"]["validation_n_rows"],
        "to test on, once": counts["split"]["test_n_rows"],
    },
    name=f"rows (split: {counts['split']['method']})",
).to_frame()

# %% [markdown]
# ## An honest evaluation
#
# Every item that a user does not have is ranked, never a sample of them, and everything tested comes later than
# what was learnt from. A metric may choose a model only if it can tell a random scorer, a weak oracle and an oracle
# apart on this very split:

# %%
model = artifacts.find(store, layout.MODELS, record["ids"]["model"])
guard = json.loads(local_file(places, model, layout.METRICS).read_bytes())["guard"]["wanted"]
pd.DataFrame(guard["yardsticks"]).set_index("name")[["value", "low", "high"]].rename_axis(guard["metric"])

# %% [markdown]
# Baselines compete like any other model; if one wins, it is published. On the test part, which chose nothing:

# %%
metrics = pd.DataFrame(record["metrics"]).query("split == 'test' and k == 10")
metrics.pivot_table("value", "model", "metric").sort_values("ndcg", ascending=False)[
    ["ndcg", "recall", "hit_rate", "coverage", "novelty", "popularity"]
]

# %% [markdown]
# Is the chosen model better, or lucky? Differences are paired by user, and corrected for their number.

# %%
tested = []
for one in model.parameters["test_scores"]:
    scores = artifacts.find(store, layout.SCORES, one)
    fitted = artifacts.find(store, layout.FITS, scores.inputs["fit"])
    tested.append(Scored(candidate_of(fitted), fitted, scores))
ranked = [one for one in tested if one.candidate.kind.ranks]
chosen = next(one for one in ranked if one.candidate == candidate_of(model))
HTML(draw_differences(compare_with(places, ranked, chosen), "differences"))

# %% [markdown]
# All of this, with segments, calibration, what the search tried and a few users with their lists, is in the
# report, a page that opens by itself:

# %%
record["uris"]["report"]

# %% [markdown]
# ## Asking the API
#
# A service of its own answers from the store; it needs no Spark, Prefect or pandas. It ends with this notebook at
# the latest.

# %%
port = free_port()
api = ChildServer(
    [sys.executable, "-m", "serving", "--store", places.store_uri, "--model", model.id, "--port", str(port)],
    {**os.environ, "API_EVENTS_DIR": "none"},
    [Check(f"http://{LOOPBACK}:{port}/readyz")],
)
api.start()
client = httpx.Client(base_url=f"http://{LOOPBACK}:{port}", trust_env=False)

# %% [markdown]
# Somebody whom the model knows, and what he or she has:

# %%
[user_id] = client.get("/v1/users", params={"most": 1}).json()["user_ids"]
history = pd.DataFrame(client.get(f"/v1/users/{user_id}").json()["history"])
history.assign(day=pd.to_datetime(history["timestamp"], unit="s").dt.date)[["title", "rating", "day"]].head(8)

# %% [markdown]
# The list for this person, and which two items of the history speak most for each place in it:

# %%
reason = "{title} ({share:.0%})".format_map
answer = client.get(f"/v1/users/{user_id}/recommendations", params={"n": 5, "explain": True}).json()
listed = pd.DataFrame(answer["items"]).set_index("rank")
listed["because of"] = ["; ".join(map(reason, one[:2])) for one in listed["reasons"]]
listed[["title", "score", "because of"]]

# %% [markdown]
# Somebody whom nobody has seen, with one thing in the basket. The same model answers, without being fitted again:

# %%
basket = {"items": [{"item_id": history["item_id"].iloc[0], "rating": 5}], "n": 5, "explain": True}
answer = client.post("/v1/recommendations", json=basket).json()
listed = pd.DataFrame(answer["items"]).set_index("rank")
listed["because of"] = ["; ".join(map(reason, one)) for one in listed["reasons"]]
listed[["title", "score", "because of"]]

# %% [markdown]
# Which way an answer went, and which model gave it, is in it. From there the manifests in the store lead back to
# the raw file.

# %%
{name: answer[name] for name in ("way", "model_id", "bundle_id", "recommendation_id")}

# %%
client.close()
api.stop()

# %% [markdown]
# ## And then?
#
# `python flows/promote.py` makes the model the champion if it is no worse than the one before, `make serve`
# serves the champion with a page to try it on, and `make deploy` does all of it every night. These pages say how:
# `docs/how-to/promotion.md`, `docs/how-to/serving.md` and
# `docs/how-to/schedules.md`.
