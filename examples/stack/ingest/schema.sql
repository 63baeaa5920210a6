-- SPDX-License-Identifier: MIT
-- Read at each start of ingest.

-- Written in the transaction that writes the titles, so that a batch is there
-- with all its titles or not at all. check.py proves it.
CREATE TABLE IF NOT EXISTS batches (
	id       INTEGER PRIMARY KEY,
	region   TEXT NOT NULL,
	expected INTEGER NOT NULL,
	complete INTEGER NOT NULL DEFAULT 0,
	at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

-- seq is the provider's number: 1, 2, 3, ... in each region, with no gap.
CREATE TABLE IF NOT EXISTS titles (
	id     INTEGER PRIMARY KEY,
	batch  INTEGER NOT NULL REFERENCES batches (id),
	region TEXT NOT NULL,
	seq    INTEGER NOT NULL,
	title  TEXT NOT NULL,
	terms  TEXT NOT NULL,
	words  TEXT NOT NULL,
	UNIQUE (region, seq)
);

-- Terms arrive ready made (tokenize.c) with spaces between, so the simplest
-- tokenizer will do, and any SQLite can read the index.
CREATE VIRTUAL TABLE IF NOT EXISTS titles_fts USING fts5 (
	terms, words,
	content = 'titles', content_rowid = 'id', tokenize = 'ascii'
);

CREATE TRIGGER IF NOT EXISTS titles_added AFTER INSERT ON titles BEGIN
	INSERT INTO titles_fts (rowid, terms, words)
	VALUES (new.id, new.terms, new.words);
END;
