"""What a shortlist is; which samples are on one says `evaluation_order`. Imports no arrays: configurations hold it."""

from typing import Literal

from pydantic import Field

from assay.core.records import Record

Order = Literal["surprisal", "confidence", "random"]


class Shortlist(Record):
    """Only the `top` samples of a task by `rank` are evaluated end to end.

    rank: least expected first (surprisal), most expected first (confidence), or at random. A sample that gave no
    program keeps its place: the order is made before anything is taken out of a sample.
    """

    top: int = Field(ge=1)
    rank: Order = "surprisal"
