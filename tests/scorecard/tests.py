"""The fourteen tests, in order."""

from functools import partial

from .answers import divergence, old_versions, page_and_sql, recall, soak, suite
from .fuzzing import fuzzing
from .hostile import hostile
from .store import disks, flips, kills, lost_answers, power, writers
from .trials import Trial

UNITS = ("tests/data/test_units.py", "tests/data/test_decisions.py", "tests/encoder/test_embed.py")

TESTS = (
    Trial("kills", "processes ended at named and at random points of commits and upkeep", kills, 2, 1),
    Trial("power loss", "recorded writes cut at every point, unflushed data dropped", power, 1, 60),
    Trial("lost answers", "commits that happened and were told to have failed", lost_answers, 0.5, 6),
    Trial("disks", "full, I/O error, read-only, too many files, at any call", disks, 1, 15),
    Trial("many writers", "processes that begin one table at once; compact, vacuum, index", writers, 2, 0),
    Trial("bit flips", "bytes of any file changed, cut or put in", flips, 1, 30),
    Trial("hostile files", "giants, bombs, circles, files that lead elsewhere", hostile, 1, 8),
    Trial("divergence", "one question by index, Parquet, SQL and arithmetic", divergence, 0.5, 6),
    Trial("old versions", "a table of an earlier version, asked, changed, tidied", old_versions, 0.5, 2),
    Trial("recall", "ten nearest under filters from 1e-5, with equal rows, poles, pentagons", recall, 1, 0),
    Trial("determinism and units", "the tests of units and of embedding", partial(suite, paths=UNITS), 1, 0),
    Trial("page and SQL", "SQL that reaches out; the tests of the page and of SQL", page_and_sql, 2, 0),
    Trial("soak", "one process: commits, upkeep and questions, memory and files counted", soak, 1, 15),
    Trial("fuzzing", "odd documents of every format, to the rows or pixels", fuzzing, 2, 90),
)
