"""A Python program that tells its SQL: `python -m benchmarks.statements PROGRAM [ARGUMENT…]`."""

import runpy
import sys
from typing import Any

import peewee

MARK = "statement: "
execute_sql = peewee.Database.execute_sql


def told(database: Any, sql: str, *more: Any) -> Any:
    print(MARK, " ".join(sql.split()), sep="", file=sys.stderr, flush=True)
    return execute_sql(database, sql, *more)


if __name__ == "__main__":
    peewee.Database.execute_sql = told
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
