"""Names of advantages and teachers, apart from what computes them so that a configuration is read without numpy."""

from typing import Literal

AdvantageName = Literal["group_center", "grpo", "rloo", "global", "entropic"]

TeacherName = Literal["prompt-only", "feedback", "feedback+solution"]
TeacherWeights = Literal["snapshot", "initial", "ema"]
PresetName = Literal["published", "reference"]

ENTROPIC_MIN_GROUP = 4  # with fewer, a sample's weight is the ratio to one or two others, and the outcome is chance
