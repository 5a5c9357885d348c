"""What a run will do, before it does it: settings, stages, recipes, an estimate."""
