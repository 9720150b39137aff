"""What trains: models, losses, metrics, each by name."""
