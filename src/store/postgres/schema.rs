//! The tables, made and versioned by the server. The rules of upgrades are in docs/postgresql.md.
use super::trouble::Trouble;
use crate::store::StoreError;
use tokio_postgres::Client;

/// What this server writes.
pub(super) const VERSION: i32 = 1;

/// As PostgreSQL numbers its versions.
const OLDEST_SERVER: i32 = 150_000;

/// `compatible_from`: the oldest server's version that may serve with these tables.
///
/// `head` has one row, and a dead one for each commit that a snapshot somewhere still keeps: the way
/// to the newest is over its key, and no other key may have all of them to look through.
const TABLES: &str = "
CREATE TABLE schema_version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version int NOT NULL,
    compatible_from int NOT NULL
);
CREATE TABLE head (
    sequence bigint PRIMARY KEY,
    state bytea,
    cluster bytea
);
CREATE TABLE rows (
    key bytea PRIMARY KEY,
    revision bigint NOT NULL,
    value bytea NOT NULL
);
ALTER TABLE rows ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE feed (
    sequence bigint PRIMARY KEY,
    group_id bytea NOT NULL,
    node int NOT NULL,
    committed_at timestamptz NOT NULL,
    keys bytea[]
);
CREATE INDEX feed_by_time ON feed (committed_at);
CREATE TABLE nodes (
    slot int PRIMARY KEY,
    incarnation bigint NOT NULL,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    version text NOT NULL,
    roots text[] NOT NULL,
    last_seen timestamptz NOT NULL,
    knowledge_ms bigint
);
CREATE TABLE removed (
    id text PRIMARY KEY,
    removed_at timestamptz NOT NULL
);
CREATE TABLE deployment (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision bigint NOT NULL,
    document bytea NOT NULL
);
CREATE SEQUENCE incarnations;
INSERT INTO head (sequence) VALUES (0);
";

/// Any number that nobody else takes as a lock in the same database: the letters of the name.
const LOCK: i64 = 0x636c_6176_6967;

/// `claviger`, or what an operator chose instead: it is written into statements.
pub(super) fn check_name(schema: &str) -> Result<(), StoreError> {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let begins = schema.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    if begins && schema.len() <= 63 && schema.bytes().all(letter) && !schema.starts_with("pg_") {
        return Ok(());
    }
    Err(StoreError::Settings(format!(
        "store.schema: {schema:?} is not up to 63 lower-case letters, digits and underscores"
    )))
}

/// Makes the tables where there are none. Two servers may try it at once.
pub(super) async fn create(client: &Client, schema: &str) -> Result<(), Trouble> {
    let exists = "SELECT to_regclass($1) IS NOT NULL";
    let marker = format!("{schema}.schema_version");
    if client.query_one(exists, &[&marker]).await?.get(0) {
        return Ok(());
    }
    let version = format!("INSERT INTO schema_version VALUES (true, {VERSION}, {VERSION});");
    let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK});");
    client.batch_execute(&lock).await?;
    let made = async {
        if !client.query_one(exists, &[&marker]).await?.get::<_, bool>(0) {
            // An administrator may have made the schema for a role that may not make one.
            let there = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
            let make = match client.query_opt(there, &[&schema]).await? {
                Some(_) => String::new(),
                None => format!("CREATE SCHEMA {schema};"),
            };
            let path = format!("SET LOCAL search_path = {schema}, pg_catalog;");
            client.batch_execute(&format!("{make} {path} {TABLES} {version}")).await?;
        }
        client.batch_execute("COMMIT").await
    };
    let made = made.await;
    if made.is_err() {
        // The connection may be what is broken.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    Ok(made?)
}

/// Refuses tables of a server that is too new or too old to share them.
pub(super) async fn check(client: &Client) -> Result<(), Trouble> {
    let found = "SELECT current_setting('server_version_num')::int4, version, compatible_from \
        FROM schema_version";
    let row = client.query_one(found, &[]).await?;
    // Before the others: what is not PostgreSQL may have numbers of another size.
    let server: i32 = row.get(0);
    if server < OLDEST_SERVER {
        return Err(refused(format!(
            "the database is of version {server}, PostgreSQL 15 is needed"
        )));
    }
    let (version, compatible_from): (i32, i32) = (row.get(1), row.get(2));
    if version < VERSION {
        return Err(refused(format!(
            "the database's tables are of version {version}, this server needs {VERSION}"
        )));
    }
    check_compatible(compatible_from)
}

/// Also under way: the tables may be migrated while a server's connections are open.
pub(super) fn check_compatible(compatible_from: i32) -> Result<(), Trouble> {
    if compatible_from > VERSION {
        return Err(refused(format!(
            "the database's tables serve servers of version {compatible_from} on, this one is of \
             version {VERSION}"
        )));
    }
    Ok(())
}

fn refused(text: String) -> Trouble {
    Trouble::Refused(StoreError::ReadOnly(text))
}
