"""The live dashboard: a poller fetches immutable snapshots through the API client, the screen repaints them."""
