"""What the road costs beside the same work done bare.

Each line: what was done, how often a second, and the ratio to the bare work in the same run.
"""

import tempfile
from pathlib import Path

from tests.bench.audit import bench_audit
from tests.bench.catalogue import bench_catalogue
from tests.bench.contribution import bench_allocation, bench_contribution
from tests.bench.finance import bench_finance
from tests.bench.log import bench_log
from tests.bench.node import bench_node
from tests.bench.profiling import bench_profiling
from tests.bench.revocation import bench_revocation
from tests.bench.search import bench_search
from tests.bench.site import bench_site
from tests.bench.usage import bench_usage
from tests.bench.valuation import bench_valuation

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_log(Path(name))
        bench_node(Path(name))
        bench_revocation(Path(name))
        bench_audit(Path(name))
        bench_site(Path(name))
        bench_usage(Path(name))
        bench_finance(Path(name))
        bench_catalogue(Path(name))
        bench_search(Path(name))
        bench_profiling(Path(name))
        bench_valuation()
        bench_contribution()
        bench_allocation()
