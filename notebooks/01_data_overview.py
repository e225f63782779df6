# %% [markdown]
# # Look before you train
#
# What is in a file of reviews, and what does that mean for a training? Each answer is a small table of numbers,
# made by a function of `reviews`, and a figure or a table of `reports` that shows it. None of it needs Spark.
#
# The data are those of `make demo`, the reviews of an invented shop. For your own, change the path of `reviews`.
# `python flows/explore.py` publishes all of it as a page.

# %%
import os
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from flows.ingest import ingest
from flows.runtime import run_flow
from flows.settings import Environment, Settings, read
from reports.advice import advice_markdown, advise
from reports.exploration_figures import (
    plot_co_purchases,
    plot_cores,
    plot_growth,
    plot_item_popularity,
    plot_lifetimes,
    plot_long_tail,
    plot_moments,
    plot_newcomers,
    plot_rating_drift,
    plot_ratings,
    plot_seasons,
    plot_user_activity,
)
from reports.exploration_tables import tabulate_cores, tabulate_summary, tabulate_tests
from reviews.cores import take_core
from reviews.explore import explore
from reviews.indexed import index_reviews
from reviews.looking_up import look_up_item
from reviews.sample import write_sample
from storage import artifacts, layout
from tasks.outlook import foresee, to_interactions
from tasks.store import local_file

# %%
if Path.cwd().name == "notebooks":
    os.chdir("..")  # where commands run, and data/ is
os.environ.setdefault("LOG_LEVEL", "WARNING")
places = read(Environment).places

# %% [markdown]
# ## From a raw file to numbers
#
# `ingest` checks every row and publishes the reviews in the store; `index_reviews` reads them as arrays.

# %%
reviews = Path("data/sample/sample-reviews.json.gz")
if not reviews.exists():
    write_sample(reviews.parent)
settings = read(Settings, {"input_reviews": str(reviews)})
record = run_flow(ingest, {name: getattr(settings, name) for name in ingest.parameters.properties})
checked = artifacts.find(places.open_store(), layout.REVIEWS_KIND, record["ids"]["reviews"])
indexed = index_reviews(local_file(places, checked, layout.REVIEWS))
found = explore(indexed)
Markdown(tabulate_summary(found.summary).to_markdown())

# %% [markdown]
# ## Ratings
#
# Stars say little where nearly all are high, and a mean that drifts says that an old star is not a new one.

# %%
plot_ratings(found.ratings)

# %%
plot_rating_drift(found.ratings.years)

# %% [markdown]
# ## Who has how much: the long tail
#
# Users with few interactions tell a model little, and items with few cannot be learnt from others' histories. The
# more the few popular items have, the better does a list of them look by accuracy alone.

# %%
plot_user_activity(found.activity)

# %%
plot_item_popularity(found.popularity)

# %%
plot_long_tail((found.activity, found.popularity))

# %% [markdown]
# ## What a k-core leaves
#
# A training keeps users and items that have at least k interactions with each other (`--min-interactions`, 5 by
# default). Each k leaves another data set, and figures measured on one say nothing about another.

# %%
plot_cores(found.cores)

# %%
Markdown(tabulate_cores(found.cores[:10]).to_markdown())

# %% [markdown]
# ## Time
#
# Do the data grow, do people and items come and go, and are there seasons? What is new in a month no model of the
# month before can know.

# %%
plot_growth(found.months)

# %%
plot_newcomers(found.months)

# %%
plot_seasons(found.seasons.months)

# %%
plot_lifetimes(found.lifetimes)

# %% [markdown]
# How much order do the timestamps hold? Where much of what a user did shares one moment, "the next item" means
# nothing, and a split by time only looks like one.

# %%
plot_moments(found.moments)

# %% [markdown]
# ## What is bought together
#
# Models of items live on users who have two of them.

# %%
plot_co_purchases(found.co_purchases)

# %% [markdown]
# The most popular item, and those that are most like it by the users they share:

# %%
most_popular = look_up_item(indexed, found.popularity.top[0].id)
pd.DataFrame(most_popular.by_cosine[:5]).set_index("id").rename_axis(most_popular.id)

# %% [markdown]
# ## Whom not to trust
#
# Users who give one rating only and items with a burst of ratings are compared with what chance would give:

# %%
Markdown(tabulate_tests(found.suspects).to_markdown())

# %% [markdown]
# ## So what?
#
# The advice of `flows/explore.py`, each line with the figure that it comes from:

# %%
k = settings.dataset.min_interactions
outlook = foresee(to_interactions(take_core(indexed, k)), k)
Markdown(advice_markdown(advise(found, outlook)))
