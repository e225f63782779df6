"""Render one self-contained HTML page on an exploration: figures, tables and advice for a training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reports import exploration_figures as figures
from reports import exploration_tables as tables
from reports.advice import Advice
from reports.display import format_count
from reports.drawing import Chart, to_svg
from reports.exploration_words import say_day, say_summary, say_tried
from reports.reading import FileSummary
from reports.report import environment
from reports.report_input import Source
from reports.tables import TextTable
from schema.exploration import Exploration
from schema.outlook import Outlook

FOLDER = Path(__file__).parent
TEMPLATES = tuple(
    FOLDER / name for name in ("exploration.html.j2", "page.html.j2", "report.css", "report_macros.html.j2")
)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        id: Of its heading, which contents and advice lead to.
        title: Its heading.
        about: What it shows, in a sentence.
        charts: Figures by their titles.
        tables: Tables by what they hold.
    """

    id: str
    title: str
    about: str
    charts: Mapping[str, Chart] = field(default_factory=dict)
    tables: Mapping[str, TextTable] = field(default_factory=dict)


@dataclass(frozen=True)
class ExplorationPage:
    """All that the page shows.

    Attributes:
        source: The raw file.
        found: What was found in its reviews.
        advice: Lines of `reports.advice.advise`.
        ids: Ids of artifacts by their roles.
        outlook: What a training by default does with them.
        file: How the raw file was read, and what of it was put aside.
        is_sample_data: Whether the reviews are made up.
    """

    source: Source
    found: Exploration
    advice: Sequence[Advice]
    ids: Mapping[str, str]
    outlook: Outlook
    file: FileSummary = field(default_factory=FileSummary)
    is_sample_data: bool = False

    @property
    def title(self) -> str:
        """Heading of the page."""
        return f"Exploration of {self.source.name}"

    @property
    def tiles(self) -> list[tuple[str, str]]:
        """The first figures that are read, with their names."""
        summary = self.found.summary
        counts = {"rows": summary.n_rows, "users": summary.n_users, "items": summary.n_items}
        shown = [(format_count(n), name) for name, n in counts.items()]
        if self.found.ratings:
            shown.append((f"{self.found.ratings.distribution.mean:.2f}", "mean rating"))
        return shown if summary.last is None else [*shown, (say_day(summary.last), "last day")]


def render_exploration(page: ExplorationPage) -> str:
    """Return the page as one HTML document that asks for nothing outside itself, and follows light and dark.

    Whatever comes from the data is escaped. The same input gives the same text.
    """
    sections = [(section, _draw(section)) for section in describe(page.found, page.outlook, page.file)]
    return environment().get_template("exploration.html.j2").render(page=page, sections=sections)


def _draw(section: Section) -> list[tuple[str, str, str]]:
    """Return title, drawing and sentence of each figure of a section."""
    charts = enumerate(section.charts.items())
    return [(title, to_svg(chart, f"{section.id}-{number}", chart.alt), chart.alt) for number, (title, chart) in charts]


def describe(found: Exploration, outlook: Outlook, file: FileSummary | None = None) -> Iterator[Section]:
    """Yield the sections of the page, those that the data allow."""
    yield Section(
        "summary",
        "The file",
        say_summary(found.summary),
        {},
        {"All counts": tables.tabulate_summary(found.summary)} | (file.tables() if file else {}),
    )
    if found.ratings:
        charts = {"Ratings": figures.plot_ratings(found.ratings)}
        if found.ratings.years:
            charts["Through the years"] = figures.plot_rating_drift(found.ratings.years)
        about = "What people gave, and how that changes."
        yield Section("ratings", "Ratings", about, charts, {"By year": tables.tabulate_ratings(found.ratings)})
    yield _counts(found)
    yield _cores(found, outlook.min_interactions)
    if outlook.guard:
        yield Section(
            "yardsticks", "Yardsticks", say_tried(outlook), {}, {"Metrics": tables.tabulate_yardsticks(outlook.guard)}
        )
    if found.months:
        yield _growth(found)
    if found.seasons:
        both = {"Months of the year": found.seasons.months, "Days of the week": found.seasons.weekdays}
        seasons = {title: one for title, one in both.items() if any(season.index is not None for season in one)}
        if seasons:
            yield Section(
                "seasons",
                "Seasons",
                "Rows a day, beside those of the mean day.",
                {title: figures.plot_seasons(one) for title, one in seasons.items()},
                {title: tables.tabulate_seasons(one) for title, one in seasons.items()},
            )
    if found.moments:
        yield Section(
            "moments",
            "Order in time",
            "How much the timestamps say of what a user did first.",
            {"Interactions of one moment": figures.plot_moments(found.moments)},
            {"Shares": tables.tabulate_moments(found.moments)},
        )
    yield _links(found)
    yield _suspects(found)


def _counts(found: Exploration) -> Section:
    sides = (found.activity, found.popularity)
    return Section(
        "tail",
        "Activity and popularity",
        "Interactions of a user and of an item: different pairs, however many rows they have.",
        {
            "How active users are": figures.plot_user_activity(found.activity),
            "How popular items are": figures.plot_item_popularity(found.popularity),
            "The long tail": figures.plot_long_tail(sides),
        },
        {
            "Quantiles": tables.tabulate_distributions({one.side: one.distribution for one in sides}),
            "Shares of the top": tables.tabulate_tail(sides),
            "The most active users": tables.tabulate_top(found.activity),
            "The most popular items": tables.tabulate_top(found.popularity),
        },
    )


def _cores(found: Exploration, k: int) -> Section:
    about = "What is left once users and items with fewer than k interactions are dropped, until none is."
    return Section(
        "cores",
        "The k-core",
        about,
        {"What each k leaves": figures.plot_cores(found.cores, k)},
        {"What each k leaves": tables.tabulate_cores(found.cores)},
    )


def _growth(found: Exploration) -> Section:
    return Section(
        "growth",
        "Growth",
        "Rows, users and items through time, who is new, and who stays.",
        {
            "Rows and users by month": figures.plot_growth(found.months),
            "Newcomers": figures.plot_newcomers(found.months),
            "For how long they are active": figures.plot_lifetimes(found.lifetimes),
        },
        {
            "By month": tables.tabulate_months(found.months),
            "Lifetimes and gaps, in days": tables.tabulate_lifetimes(found.lifetimes),
        },
    )


def _links(found: Exploration) -> Section:
    links = found.co_purchases
    return Section(
        "links",
        "Items with users in common",
        "What models of items next to items can learn from.",
        {
            "Items that share users": figures.plot_co_purchases(links),
            "With how many others": figures.plot_linked(links),
        },
        {
            "Other items that an item shares users with": tables.tabulate_distributions(
                {f"{one.least_users} users or more": one.others for one in links.links}
            ),
            "The strongest pairs": tables.tabulate_links(links),
        },
    )


def _suspects(found: Exploration) -> Section:
    shown = {f"{one.side.capitalize()}: {one.reason}": one for one in found.suspects if one.n_found}
    about = "Those that chance does not explain, however many were tested; not all of them are fraud."
    return Section(
        "suspects",
        "Users and items to look at",
        about,
        {title: figures.plot_suspects(one) for title, one in shown.items()},
        {"Tests": tables.tabulate_tests(found.suspects)}
        | {title: tables.tabulate_suspects(one) for title, one in shown.items()},
    )
