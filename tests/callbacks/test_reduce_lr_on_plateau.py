SAMPLE = {"patience": 1, "factor": 0.5, "min_delta": 10}
