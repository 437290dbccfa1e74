"""Experiments with listeners: who is in which arm, and who has seen it.

`assignment` needs nothing but pydantic: a client can work out the arm of a listener exactly as the server does.
"""

from recsys.experiments.assignment import Assignment, Experiments, bucket
from recsys.experiments.definition import BUCKETS, SURFACES, Arm, Definition, Experiment, read

__all__ = ["BUCKETS", "SURFACES", "Arm", "Assignment", "Definition", "Experiment", "Experiments", "bucket", "read"]
