"""The five tutorials told while they run: what each step is for, what the tutorial prints, and the figures it draws."""
