"""One judge for all tests of the evaluator, with its caches in a directory of the test run."""

from collections.abc import Iterator

import pytest

from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        judge = Judge("cpu", EvaluatorConfig(call_timeout_s=3, load_timeout_s=20, calibration_replicates=4))
        yield judge
        judge.close_now()
