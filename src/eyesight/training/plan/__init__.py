"""What a training is to be, before it starts: recipe, planner, presets."""
