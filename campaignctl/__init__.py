"""campaignctl: real-time ad-campaign analytics with an operator's toolkit."""

__version__ = "0.1.0"
