"""One campaign in depth: settings and links, spend against budget, freshness, and streamed beside reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import ContentSwitcher

from campaignctl.telemetry import one_line
from campaignctl.tui.campaigns import PATH, read_campaigns
from campaignctl.tui.dialogs.choose_campaign import ChooseCampaign
from campaignctl.tui.look import heading
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.session import Session
from campaignctl.tui.widgets import campaign_tables as tables
from campaignctl.tui.widgets.keyed_table import KeyedTable
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.pacing import pacing_text, settings_text

SECTIONS = ("overview", "reconcile", "restatements")


@dataclass(frozen=True, slots=True)
class CampaignQuestion:
    campaign_id: int | None
    section: str


@dataclass(frozen=True, slots=True)
class CampaignReading:
    campaign: Mapping[str, Any] | None
    """None: there is no campaign at all."""
    pacing: Mapping[str, Any] | None = None
    freshness: Mapping[str, Any] | None = None
    reconcile: Mapping[str, Any] | None = None
    restatements: Mapping[str, Any] | None = None
    """Of these only what the section shows."""


class CampaignScreen(PolledScreen[CampaignQuestion, CampaignReading]):
    NAME = "campaign"
    EVERY = 3.0
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "section(1)", "View", tooltip="Overview, reconcile, restatements"),
        Binding("V", "section(-1)", "View back", show=False, tooltip="The same the other way round"),
        Binding("slash", "choose_campaign", "Campaign", key_display="/"),
        Binding("f", "filter", "Filter", tooltip="Show only rows with a text"),
        Binding("escape", "leave", "Back", show=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.section = SECTIONS[0]

    def body(self) -> ComposeResult:
        yield Line(id="campaign-line", classes="view-line")
        with ContentSwitcher(initial=SECTIONS[0]):
            with VerticalScroll(id="overview"):
                with Horizontal(id="facts"):
                    yield Line(id="settings", classes="panel")
                    yield Line(id="pacing", classes="panel")
                yield Line(heading("Freshness", "by platform"), classes="table-title")
                yield KeyedTable(id="freshness")
                yield Line(id="links-title", classes="table-title")
                yield KeyedTable(id="links")
            yield KeyedTable(id="reconcile")
            yield KeyedTable(id="restatements")
        yield Line(id="campaign-about")

    def question(self) -> CampaignQuestion:
        return CampaignQuestion(self.session.campaign_id, self.section)

    def read(self, question: CampaignQuestion) -> CampaignReading:
        get, campaign_id = self.session.reader.get, question.campaign_id
        if campaign_id is None:
            first = read_campaigns(self.session.reader).lines[:1]
            if not first:
                return CampaignReading(None)
            campaign_id = first[0].id
        path = f"{PATH}/{campaign_id}"
        campaign = get(path)
        if question.section == "reconcile":
            return CampaignReading(campaign, reconcile=get(f"{path}/reconcile"))
        if question.section == "restatements":
            return CampaignReading(campaign, restatements=get(f"{path}/restatements"))
        fresh = get("/api/v1/freshness", {"campaign": str(campaign_id)})
        return CampaignReading(campaign, pacing=get(f"{path}/pacing"), freshness=fresh)

    def taken(self, question: CampaignQuestion, reading: CampaignReading) -> bool:
        if question != self.question():
            return False
        if reading.campaign is not None:
            self.session.campaign_id, self.session.campaign_name = reading.campaign["id"], reading.campaign["name"]
        return True

    # Painting

    def paint(self, reading: CampaignReading) -> None:
        self._show_line()
        campaign, look = reading.campaign, self.look
        if campaign is None:
            return
        about = Text(no_wrap=True, overflow="ellipsis")
        if reading.pacing is not None and reading.freshness is not None:
            self.query_one("#settings", Line).put(settings_text(campaign, look))
            self.query_one("#pacing", Line).put(pacing_text(reading.pacing, look))
            fresh = tables.freshness_rows(reading.freshness["items"], self.session.now())
            self.query_one("#freshness", KeyedTable).show(tables.FRESHNESS, fresh)
            self.query_one("#links", KeyedTable).show(tables.LINKS, tables.link_rows(campaign["platforms"]))
            claims = "native campaigns that it claims"
            if not campaign["platforms"]:
                update = f"campaignctl campaigns update {campaign['id']} --link PLATFORM/ACCOUNT/ID"
                claims = f"none yet: {self.session.command(update)}"
            self.query_one("#links-title", Line).put(heading("Links", claims))
            for warning in reading.pacing["warnings"]:
                about.append(f"▲ {warning['code']}  ", look.warn)
        if reading.reconcile is not None:
            rows = tables.reconcile_rows(reading.reconcile["items"], look)
            self.query_one("#reconcile", KeyedTable).show(tables.RECONCILE, rows)
            about = tables.reconcile_summary(reading.reconcile, look)
        if reading.restatements is not None:
            rows = tables.restatement_rows(reading.restatements["items"], look)
            self.query_one("#restatements", KeyedTable).show(tables.RESTATEMENTS, rows)
            about = tables.restatements_summary(reading.restatements)
        self.query_one("#campaign-about", Line).put(about)

    def _show_line(self) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        campaign = self.reading.campaign if self.reading is not None else None
        if self.reading is not None and campaign is None:
            text.append("No campaigns yet. Make one with: campaignctl campaigns create NAME")
        else:
            if campaign is not None:
                text.append(one_line(campaign["name"]), "bold").append(f"  campaign {campaign['id']}   ", "dim")
            for section in SECTIONS:
                text.append(f" {section} ", "bold reverse" if section == self.section else "dim").append(" ")
        self.query_one("#campaign-line", Line).put(text)

    def command_line(self) -> str:
        number = self.session.campaign_id or "N"
        if self.section == "overview":
            return f"campaignctl campaigns show {number}; campaignctl pacing --campaign {number}"
        return f"campaignctl {self.section} --campaign {number}"

    # What the keys do

    def action_section(self, by: int) -> None:
        self.section = SECTIONS[(SECTIONS.index(self.section) + by) % len(SECTIONS)]
        self.query_one(ContentSwitcher).current = self.section
        self._show_line()
        self.focus_table()
        self.poll_soon()

    def action_choose_campaign(self) -> None:
        def chosen(campaign_id: int | None) -> None:
            if campaign_id is not None:
                self.session.campaign_id = campaign_id
                self.poll_soon()

        self.app.push_screen(ChooseCampaign(self.session), chosen)

    def go_back(self) -> None:
        self.app.switch_mode("live")
