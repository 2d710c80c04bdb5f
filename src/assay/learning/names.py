"""Names of advantages, apart from their computation so that a configuration is read without numpy."""

from typing import Literal

AdvantageName = Literal["group_center", "grpo", "rloo", "global", "entropic"]

ENTROPIC_MIN_GROUP = 4  # with fewer, a sample's weight is the ratio to one or two others, and the outcome is chance
