"""GradBench's problems in NumPy and plain Python, and a tool that answers its protocol: `python -m bench.gradbench`.

GradBench (https://github.com/gradbench/gradbench) is a public suite of differentiation problems. Each of its evals is a module
here: the function as a scientist writes it, how the suite's messages are read and answered, and inputs of the same form in any size.
"""
