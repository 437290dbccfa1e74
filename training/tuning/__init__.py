"""Search for the settings of `segue train` on validation (Optuna): the space, the study, its report."""
