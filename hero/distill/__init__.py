"""Teachers, learners, losses and trainers."""
