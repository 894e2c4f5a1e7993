#include <sqlite3.h>

/// Sets limits and disables what a read-only database does not need, so that a hostile one can
/// neither compute nor grow. `sqlite3_db_config` is variadic, so Swift cannot call it.
static inline void dvae_sqlite_defend(sqlite3 *database, int longest) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)0);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_VIEW, 0, (int *)0);
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, longest);
  sqlite3_limit(database, SQLITE_LIMIT_EXPR_DEPTH, 10);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(database, SQLITE_LIMIT_WORKER_THREADS, 0);
}

/// Called by SQLite after every thousand instructions; not 0 ends the query.
static inline int dvae_sqlite_spend(void *budget) { return (*(long long *)budget -= 1000) < 0; }
