"""Explore reviews: everything that is found in them before anything is trained on them."""

from reviews.cores import size_cores
from reviews.indexed import IndexedReviews
from reviews.links import count_copurchases
from reviews.summaries import count_activity, count_popularity, summarise, summarise_ratings
from reviews.suspicion import find_suspicious_items, find_suspicious_users
from reviews.times import count_moments, find_seasons, measure_lifetimes, trace_growth
from schema.exploration import Exploration


def explore(reviews: IndexedReviews) -> Exploration:
    """Return every table of reviews; what the data have no ratings or timestamps for is None, or empty."""
    return Exploration(
        summary=summarise(reviews),
        ratings=summarise_ratings(reviews),
        activity=count_activity(reviews),
        popularity=count_popularity(reviews),
        cores=size_cores(reviews),
        months=trace_growth(reviews),
        seasons=find_seasons(reviews),
        lifetimes=measure_lifetimes(reviews),
        co_purchases=count_copurchases(reviews),
        moments=count_moments(reviews),
        suspects=(*find_suspicious_users(reviews), *find_suspicious_items(reviews)),
    )
