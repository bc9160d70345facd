"""Opening the embedded engine loads no pyarrow, and leaves the real one to whoever wants it."""

import subprocess
import sys


def test_the_engine_comes_without_pyarrow_which_still_works() -> None:
    code = (
        "import sys, tempfile, pathlib\n"
        "from campaignctl.adapters.analytics.embedded import open_embedded_analytics\n"
        "store = open_embedded_analytics(pathlib.Path(tempfile.mkdtemp()) / 'store')\n"
        "assert store.run_sql('SELECT 1 AS one', {}, max_rows=1, timeout_s=5).rows == [[1]]\n"
        "assert 'pyarrow' not in sys.modules\n"
        "import chdb\n"
        "table = chdb.query('SELECT 7 AS seven', 'ArrowTable')\n"
        "assert table.column('seven').to_pylist() == [7], table\n"
        "import pyarrow\n"
        "assert pyarrow.__version__\n"
        "store.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
