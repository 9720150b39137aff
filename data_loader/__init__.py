"""Where data comes from: loaders by name, and the transforms they use."""
