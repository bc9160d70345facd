"""The dashboard's screens, a file each; every one reads through the API and keeps what it read last."""
