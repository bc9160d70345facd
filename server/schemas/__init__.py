"""The shapes of the API as its OpenAPI document shows them.

Nothing is validated or encoded with these models: bodies are read by ``server.bodies`` and the domain, answers are
encoded from values. Tests compare real answers with them.
"""
