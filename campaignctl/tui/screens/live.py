"""Live insights: totals with their change, the plot, and the table by period and group of one campaign."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, OptionList

from campaignctl.telemetry import one_line
from campaignctl.tui.campaigns import PATH, CampaignLine, Campaigns, line_of, read_campaigns
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.session import Session
from campaignctl.tui.view import MAX_ROWS, METRICS, SORTS, View
from campaignctl.tui.widgets.breakdown import Breakdown
from campaignctl.tui.widgets.campaign_list import CampaignList
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.status import AboutNumbers
from campaignctl.tui.widgets.tiles import Tiles
from campaignctl.tui.widgets.trend import Trend


@dataclass(frozen=True, slots=True)
class LiveReading:
    view: View
    """As asked, with the campaign that was chosen where none was."""
    campaigns: Campaigns
    campaign: CampaignLine | None
    table: Mapping[str, Any]
    """The view's range at its granularity and grouping, a body of the insights route."""
    trend: Mapping[str, Any]
    """The same range by day or hour, ungrouped."""


class LiveScreen(PolledScreen[View, LiveReading]):
    NAME = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "choose_campaign", "Campaign", key_display="/", tooltip="Find a campaign by its name"),
        Binding("left_square_bracket", "step('days', -1)", "Shorter", key_display="[", tooltip="A shorter range"),
        Binding("right_square_bracket", "step('days')", "Longer", key_display="]", tooltip="A longer range"),
        Binding("g", "step('granularity')", "Grain", tooltip="By day, week, month or hour"),
        Binding("b", "step('group_by')", "Group", tooltip="By platform, region, device, or not grouped"),
        Binding("m", "step('metric')", "Metric", tooltip="The metric that is plotted"),
        Binding("v", "plot_or_table", "Plot", tooltip="Plot or table first"),
        Binding("p", "step('platform')", "Platform", tooltip="One platform, or all"),
        Binding("c", "step('compare')", "Compare", tooltip="Against the period or year before, or none"),
        Binding("s", "step('sort')", "Sort", tooltip="Sort by the next column"),
        Binding("S", "turn_order", "Order", show=False, tooltip="Turn the order"),
        Binding("full_stop", "next_campaign", "Next", show=False, key_display=".", tooltip="The next campaign"),
        Binding("comma", "next_campaign(-1)", "Previous", show=False, key_display=",", tooltip="The one before"),
        Binding("f", "filter", "Filter", show=False, tooltip="Show only rows with a text"),
        Binding("enter", "open_campaign", "Open", show=False, tooltip="The campaign in depth"),
    ]

    def __init__(self, session: Session, view: View | None = None) -> None:
        super().__init__(session)
        self.view = replace(view or View(), campaign_id=session.campaign_id)

    def body(self) -> ComposeResult:
        with Horizontal():
            yield CampaignList(id="campaigns")
            with Vertical(id="main"):
                yield Line(id="view-line")
                yield Tiles()
                yield Trend()
                yield Breakdown(id="breakdown")
        yield AboutNumbers(id="about")

    # Reading

    def question(self) -> View:
        return self.view

    def read(self, view: View) -> LiveReading:
        campaigns = read_campaigns(self.session.reader)
        campaign = self._chosen(campaigns, view.campaign_id)
        if campaign is None:
            return LiveReading(replace(view, campaign_id=None), campaigns, None, {}, {})
        path = f"{PATH}/{campaign.id}/insights"
        today = self._today(campaign)
        table = self.session.reader.get(path, view.table_params(today))
        trend = self.session.reader.get(path, view.trend_params(today))
        return LiveReading(replace(view, campaign_id=campaign.id), campaigns, campaign, table, trend)

    def _chosen(self, campaigns: Campaigns, wanted: int | None) -> CampaignLine | None:
        """The wanted one, also when it stands on no page that was read; else the first."""
        found = next((line for line in campaigns.lines if line.id == wanted), None)
        if found is None and wanted is not None and campaigns.more:
            found = line_of(self.session.reader.get(f"{PATH}/{wanted}"))
        return found or (campaigns.lines[0] if campaigns.lines else None)

    def _today(self, campaign: CampaignLine) -> date:
        return self.session.now().astimezone(ZoneInfo(campaign.timezone)).date()

    def taken(self, question: View, reading: LiveReading) -> bool:
        if question != self.view:
            return False
        self.view = reading.view
        self.session.campaign_id = reading.view.campaign_id
        self.session.campaign_name = reading.campaign.name if reading.campaign else ""
        return True

    # Painting

    def paint(self, reading: LiveReading) -> None:
        look = self.look
        self.query_one(CampaignList).show(reading.campaigns, self.view.campaign_id, look)
        self.query_one(Tiles).show(reading.table, look)
        self.query_one(Trend).show(reading.trend, replace(reading.view, metric=self.view.metric), look)
        self.query_one(Breakdown).paint(reading.table, reading.view, look)
        self.query_one(AboutNumbers).show(reading.table, self.session.now(), look)
        self._show_view()

    def _show_view(self) -> None:
        view, reading = self.view, self.reading
        text = Text(no_wrap=True, overflow="ellipsis")
        if reading is not None and reading.campaign is None:
            text.append("No campaigns yet. Make one with: ").append("campaignctl campaigns create NAME", "bold")
        elif reading is not None and reading.campaign is not None:
            text.append(one_line(reading.campaign.name), "bold").append(f"  {reading.campaign.timezone}", "dim")
        words = [f"last {view.days} days", view.granularity, f"by {view.group_by}" if view.group_by else "not grouped"]
        words.append(view.platform or "all platforms")
        words.append(f"against {view.compare.replace('_', ' ')}" if view.compare else "no comparison")
        rows = len(reading.table.get("rows", ())) if reading is not None else 0
        if rows > MAX_ROWS or (reading is not None and reading.table.get("next_cursor")):
            words.append(f"the first {MAX_ROWS} rows")
        text.append("  " + "  ".join(words))
        self.query_one("#view-line", Line).put(text)

    def command_line(self) -> str:
        if self.reading is None or self.reading.campaign is None:
            return "campaignctl campaigns list"
        return self.view.command_line_for(self._today(self.reading.campaign))

    # What the keys do

    def ask(self, view: View) -> None:
        """Show another view as soon as its answer is here."""
        self.view = view
        self._show_view()
        self.poll_soon()

    def action_step(self, member: str, by: int = 1) -> None:
        self.ask(self.view.step(member, by))
        if self.reading is not None and member == "metric":
            self.query_one(Trend).show(self.reading.trend, self.view, self.look)

    def action_turn_order(self) -> None:
        if self.view.sort:
            self.ask(self.view.sorted_by(self.view.sort))

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        name = event.column_key.value or ""
        if name in SORTS:
            self.ask(self.view.sorted_by(name))
            if name in METRICS:
                self.view = replace(self.view, metric=name)
        elif name == "period":
            self.ask(replace(self.view, sort=""))

    def action_plot_or_table(self) -> None:
        """On a short screen one in place of the other, else the plot large or small."""
        self.toggle_class("plot-first")

    def action_next_campaign(self, by: int = 1) -> None:
        ids = [line.id for line in self.reading.campaigns.lines] if self.reading else []
        if ids:
            at = ids.index(self.view.campaign_id) if self.view.campaign_id in ids else -1
            self.choose(ids[(at + by) % len(ids)])

    def choose(self, campaign_id: int) -> None:
        self.session.campaign_id = campaign_id
        self.ask(replace(self.view, campaign_id=campaign_id))

    def on_screen_resume(self, event: events.ScreenResume) -> None:  # the one of all screens is called after it
        if self.session.campaign_id != self.view.campaign_id:
            self.view = replace(self.view, campaign_id=self.session.campaign_id)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id is not None and int(event.option.id) != self.view.campaign_id:
            self.choose(int(event.option.id))

    def on_data_table_row_selected(self) -> None:
        self.action_open_campaign()

    def on_option_list_option_selected(self) -> None:
        self.action_open_campaign()

    def action_open_campaign(self) -> None:
        self.app.switch_mode("campaign")

    def action_choose_campaign(self) -> None:
        from campaignctl.tui.dialogs.choose_campaign import ChooseCampaign

        def chosen(campaign_id: int | None) -> None:
            if campaign_id is not None:
                self.choose(campaign_id)

        self.app.push_screen(ChooseCampaign(self.session), chosen)
