"""What changes the weights: optimizers, schedules, averages."""
