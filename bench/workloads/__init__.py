"""Problems that people bring to differentiation, in NumPy and plain Python, each a module: trajectories, networks, likelihoods, options, fits."""
