"""Problems that people bring to differentiation, a module each: trajectories, networks, likelihoods, options, fits."""
