"""What a run will do: its settings, stages, recipes, and an estimate of its needs."""
