"""Teachers, objectives, losses and learners."""
