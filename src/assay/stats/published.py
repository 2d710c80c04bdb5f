"""Published figures, for side-by-side tables, recipes and tests. Facts about other people's runs, never targets.

Sources: Barnes (2026), "Surprisal-Guided Selection: Compute-Optimal Test-Time Strategies for Execution-Grounded Code
Generation", arXiv:2602.07670; and the technical report of the same project, "When Does Test-Time Training Saturate?
Evidence from Verifiable Execution-Grounded Tasks" (2026). Rates are shares of 1, rounded as they were published.
They were measured by the unpaired rule `speedup > 1` that the documentation of the evaluator discusses.
"""

from dataclasses import dataclass

PAPER = "Barnes (2026), arXiv:2602.07670"
REPORT = "Barnes (2026), technical report: When Does Test-Time Training Saturate?"


@dataclass(frozen=True)
class Trajectory:
    """fast_1 by adaptation step, one row a task; 32 samples a task and step."""

    source: str
    task_ids: tuple[str, ...]
    fast_1: tuple[tuple[float, ...], ...]  # one row a task, one column a step
    aggregate: tuple[float, ...]  # one figure a step
    samples_per_task: int


@dataclass(frozen=True)
class BySeed:
    """One figure a seed, and the adaptation step it was taken at where there is one."""

    source: str
    seeds: tuple[int, ...]
    fast_1: tuple[float, ...]
    steps: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SelectorFigure:
    """A selector's task success and mean speedup, over 5 tasks and 2 seeds."""

    fast_1: float
    mean_speedup: float


@dataclass(frozen=True)
class TaskRates:
    """Rates over 64 samples of one task, and the speedup of the fastest."""

    task_id: str
    sample_fast_1: float
    correct: float
    selected_speedup: float


@dataclass(frozen=True)
class Tokens:
    """Tokens spent, student and teacher, mean over seeds."""

    rollouts: int
    student: int
    teacher: int


SUBSET_1 = ("4", "5", "12", "14", "15")
SUBSET_2 = ("18", "28", "29", "30", "32")
EVAL_TASKS = (*SUBSET_1, *SUBSET_2, "36", "55", "65", "70", "76", "82", "87", "89", "95", "98")
SPLIT_SEED = 42

TRAJECTORY = Trajectory(
    source=f"{REPORT}, section 5.2, seed 42",
    task_ids=SUBSET_1,
    fast_1=(
        (0.094, 0.281, 0.469, 0.250, 0.219, 0.250),
        (0.031, 0.156, 0.063, 0.031, 0.031, 0.094),
        (1.000, 1.000, 1.000, 1.000, 1.000, 1.000),
        (0.375, 0.219, 0.188, 0.219, 0.156, 0.406),
        (0.375, 0.344, 0.406, 0.313, 0.406, 0.313),
    ),
    aggregate=(0.375, 0.400, 0.425, 0.363, 0.363, 0.413),
    samples_per_task=32,
)

# Of that trajectory: argmax and early stop (patience 1) pick step 2.
CHECKPOINT_RULES = {"boa": 0.425, "early_stop_1": 0.425, "fixed_final": 0.413, "per_task_oracle": 0.488}

BOA_BY_SEED = BySeed(f"{REPORT}, table 5.3", (42, 43, 44), (0.425, 0.200, 0.294), steps=(2, 1, 4))
BOA_MEAN, BOA_STD = 0.306, 0.113
SDPO_PROMPT_ONLY = BySeed(f"{REPORT}, section 5.5", (42, 43, 44), (0.388, 0.238, 0.288))
SDPO_FEEDBACK = BySeed(f"{REPORT}, section 5.5", (42, 43, 44), (0.356, 0.188, 0.244))

# Task success on subset 1 against the number of samples; `PAPER`.
BEST_OF_N_KS = (1, 2, 4, 8, 16, 32, 64)
BEST_OF_N_CURVE = (0.533, 0.724, 0.895, 0.982, 0.999, 1.000, 1.000)
TASK_SUCCESS_AT_64 = (18, 20)  # tasks solved, tasks, level 1

# Per-sample rates behind the comparison of Best-of-N with adaptation, on one metric: Best-of-N and BoA (seed 42).
PER_SAMPLE_FAST_1 = {"best_of_n": 0.398, "boa": 0.425}

BEST_OF_N_TASKS = (  # REPORT, tables 5.2 and D.2, seed 42, K = 64
    TaskRates("4", 0.281, 0.969, 859.8),
    TaskRates("5", 0.406, 0.984, 191.7),
    TaskRates("12", 0.359, 1.000, 23.8),
    TaskRates("14", 0.250, 0.656, 15.6),
    TaskRates("15", 0.250, 0.750, 13.6),
)

SELECTORS = {  # PAPER, subset 1, 5 tasks x 2 seeds; keys as `assay select --by` takes them
    "oracle": SelectorFigure(1.000, 226.9),
    "surprisal-top-3": SelectorFigure(1.000, 139.0),
    "surprisal": SelectorFigure(0.800, 41.2),
    "random-correct": SelectorFigure(0.592, 30.0),
    "confidence": SelectorFigure(0.500, 11.6),
}
# Surprisal against confidence; PAPER. The signed-rank p-value is two-sided over 10 pairs, the sign test's one-sided.
COHENS_H = 0.64
WILCOXON_PAIRS, WILCOXON_STATISTIC, WILCOXON_P = 10, 10.0, 0.084
SIGN_TEST_WINS, SIGN_TEST_LOSSES, SIGN_TEST_P = 3, 0, 0.125

# Spearman's rho of surprisal and speedup; PAPER.
SPEARMAN_RAW, SPEARMAN_GIVEN_LENGTH = -0.047, 0.003
# 320 fixed samples scored under each checkpoint: step 0 and step 8, overall and in the bottom quartile.
PROBE_RHO = (-0.198, -0.275)
PROBE_RHO_BOTTOM_QUARTILE = (-0.237, -0.442)

# fast_1 of a checkpoint adapted on one subset and evaluated on the other, and of the unadapted model there.
TRANSFER = {"subset_1_to_2": (0.075, 0.175), "subset_2_to_1": (0.3125, 0.375)}

# RLVR by step: share correct, mean speedup; REPORT, appendix B.
RLVR_STEPS = (10, 20, 30, 40)
RLVR_CORRECT = (0.906, 0.953, 0.953, 0.984)
RLVR_SPEEDUP = (0.81, 0.87, 0.86, 0.87)

TOKENS = {  # REPORT, table C.1
    "best_of_n": Tokens(320, 313_000, 0),
    "boa_step_1": Tokens(320, 313_000, 0),
    "sdpo_feedback": Tokens(320, 314_000, 338_000),
    "sdpo_prompt_only": Tokens(320, 311_000, 313_000),
}
