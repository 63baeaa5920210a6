/* SPDX-License-Identifier: MIT */
/*
 * One ingest per database: a lock on ingest.pid beside it.
 *
 * SQLite would let two take turns, and each would overwrite the other's idea
 * of what comes next; the second one is refused instead.
 */
#ifndef INGEST_POSSESS_H
#define INGEST_POSSESS_H

/*
 * Make the database's directory if it is missing, and take the lock. Returns
 * a descriptor that holds it until it is closed (also by a kill -9), or -1
 * and says why.
 */
int possess(const char *db_path);

#endif
