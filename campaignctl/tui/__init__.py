"""The dashboard: screens that poll the API client in threads and repaint from what came; nothing here waits for it."""
