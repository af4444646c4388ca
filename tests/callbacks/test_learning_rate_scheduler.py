SAMPLE = {"schedule": {"step_decay": {"initial_learning_rate": 0.02, "drop": 0.5, "epochs_drop": 2}}}
