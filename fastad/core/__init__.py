"""The compiled core: tape, active scalars and sweeps; it knows neither NumPy nor pytrees."""
