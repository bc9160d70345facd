"""Clients of the reporting APIs of Meta, Google Ads, LinkedIn and TikTok, over plain HTTP.

No vendor's SDK: four of them would bring hundreds of packages and each its own idea of retries, limits and floats. What
they would do for us is one caller (``http``), one reading of answers (``answers``) and one way through pages
(``windows``), shared by all four.
"""
