"""The tables of `run.sqlite`. Columns hold what analyses read; the JSON beside them holds the rest of each record."""

from enum import StrEnum

from assay.core.ledger import Spend

STORE_VERSION = 1


class Purpose(StrEnum):
    """Why a candidate was evaluated. The numbers of different purposes never stand in for each other."""

    SEARCH = "search"  # the first look at every distinct candidate
    SELECTED = "selected"  # a candidate that was picked for its speed, measured again
    CONTROL = "control"  # an identical copy of the reference


SPEND_FIELDS = tuple(Spend.model_fields)

# Seconds that each process was at work on the run, up to its last write; what of them was sampling, evaluation and
# learning says the ledger.
SESSIONS = """CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY, model_device TEXT NOT NULL, evaluator_device TEXT NOT NULL, seconds REAL NOT NULL) STRICT"""

# Evaluations belong to a program, not to a sample: samples that gave the same program share one.
TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE tasks (
        position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, record TEXT NOT NULL) STRICT""",
    "CREATE TABLE prompts (hash TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT",
    "CREATE TABLE candidates (hash TEXT PRIMARY KEY, source TEXT NOT NULL) STRICT",
    """CREATE TABLE samples (
        round INTEGER NOT NULL, task_key TEXT NOT NULL REFERENCES tasks (key), idx INTEGER NOT NULL,
        snapshot_id TEXT NOT NULL, prompt_hash TEXT NOT NULL REFERENCES prompts (hash),
        prompt_tokens INTEGER NOT NULL, n_tokens INTEGER NOT NULL, sum_logprob REAL, mean_logprob REAL,
        bottom_logprob REAL, stop_reason TEXT NOT NULL, candidate_hash TEXT REFERENCES candidates (hash),
        failure TEXT, reward REAL,
        tokens BLOB NOT NULL, logprobs BLOB NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (round, task_key, idx), CHECK ((candidate_hash IS NULL) <> (failure IS NULL))) STRICT""",
    """CREATE TABLE evaluations (
        task_key TEXT NOT NULL REFERENCES tasks (key), candidate_hash TEXT NOT NULL, purpose TEXT NOT NULL,
        status TEXT NOT NULL, verdict TEXT, ratio REAL, low REAL, high REAL, raw REAL,
        timed_calls INTEGER NOT NULL, seconds REAL NOT NULL, record TEXT NOT NULL,
        PRIMARY KEY (task_key, candidate_hash, purpose)) STRICT""",
    "CREATE TABLE rounds (round INTEGER PRIMARY KEY, snapshot_id TEXT NOT NULL, finished_at TEXT NOT NULL) STRICT",
    f"""CREATE TABLE ledger (
        id INTEGER PRIMARY KEY, phase TEXT NOT NULL, round INTEGER, task_key TEXT,
        {", ".join(f"{name} REAL" for name in SPEND_FIELDS)}) STRICT""",
)
