#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is the index whole? Prints a line and exits 0, or says what is wrong: 1.

    ./check.py [DATABASE]        default: $TRENDS_DB, or data/trends.db

May run at any time, also while ingest writes: it looks at a copy in memory
of one moment, and locks nobody out.
"""

import contextlib
import os
import pathlib
import sqlite3
import sys

HERE = pathlib.Path(__file__).resolve().parent

# What may not be there: a name, and a query that must give no row.
NEVER = [
    ("half a batch",
     "SELECT b.id, b.region, b.expected, b.complete, count(t.id)"
     " FROM batches b LEFT JOIN titles t ON t.batch = b.id"
     " GROUP BY b.id HAVING count(t.id) != b.expected OR b.complete != 1"),
    ("titles of another region than their batch",
     "SELECT t.id, t.region FROM titles t LEFT JOIN batches b"
     " ON b.id = t.batch WHERE b.region IS NOT t.region"),
    ("a gap or a title twice",
     "SELECT region, min(seq), max(seq), count(*) FROM titles"
     " GROUP BY region HAVING min(seq) != 1 OR max(seq) != count(*)"),
    ("a title that is not in the index",
     "SELECT id, region, title FROM titles"
     " WHERE id NOT IN (SELECT id FROM titles_fts_docsize)"),
    ("something in the index that is no title",
     "SELECT id FROM titles_fts_docsize"
     " WHERE id NOT IN (SELECT id FROM titles)"),
    ("a title without terms",
     "SELECT id, region, title FROM titles WHERE terms = ''"),
]


def snapshot(path):
    copy = sqlite3.connect(":memory:")
    uri = pathlib.Path(path).resolve().as_uri() + "?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
        db.backup(copy)
    return copy


def problems(db):
    for (text,) in db.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield f"integrity_check: {text}"
    for what, query in NEVER:
        for row in db.execute(query):
            yield f"{what}: {row}"
    try:
        # Rank 1: compare every term of the index with the titles.
        db.execute("INSERT INTO titles_fts (titles_fts, rank)"
                   " VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as e:
        yield f"the index does not match the titles: {e}"


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.environ.get(
        "TRENDS_DB", HERE / "data" / "trends.db")
    try:
        db = snapshot(path)
        found = list(problems(db))
        counts = [db.execute(f"SELECT count({what}) FROM {table}").fetchone()[0]
                  for what, table in (("*", "batches"), ("*", "titles"),
                                      ("DISTINCT region", "titles"))]
    except sqlite3.Error as e:
        found = [f"{path}: {e}"]
    for text in found[:20]:
        print(text)
    if found:
        print(f"NOT ok: {len(found)} problems")
        return 1
    print("ok: {} batches, {} titles, {} regions".format(*counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
