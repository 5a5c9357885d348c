"""Training, as generators of events: plan, data, model, objectives, optimization, run."""
