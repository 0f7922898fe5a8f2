//! *Purpose*: sessions of the writer and of readers.
//!
//! *Owns*: their settings, what a server must be to be used, the lock that one writer holds.
//!
//! *Promises*: whatever the role or the database is set to, a session has our settings; a writer's
//! session holds the lock of its schema, or there is none; a refusal is one sentence.
//!
//! *Not here*: when a session is opened (`postgres::open_database`, `postgres::database`).

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Bool, Integer, Nullable, Text};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::Conn;
use super::address::Address;
use crate::store::error::StoreError;

/// What libpq is told where the URL says nothing of it: nobody waits for ever for a server that
/// does not answer, and a line that is cut is noticed. Seconds, but for `tcp_user_timeout`, which
/// is in milliseconds.
const LINE: [(&str, &str); 5] = [
    ("connect_timeout", "10"),
    ("keepalives_idle", "15"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];
/// The server notices in the same way that we are gone, and gives up what we hold.
const LINE_THERE: &str = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000; \
     SET client_connection_check_interval = '5s';";
/// Our statements find their rows by an index, whatever statistics of yesterday say. What that
/// makes expensive would have code compiled for it, which takes longer than the statement.
const PLANS: &str = "SET jit = off; SET enable_seqscan = off;";
/// A commit of 10,000 jobs takes a fifth of a second. What a role is set to must not stop one.
const WRITER: &str = "SET statement_timeout = '60s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET plan_cache_mode = force_generic_plan; \
     SET enable_hashjoin = off; SET enable_mergejoin = off;";
/// What was committed outlives the server; `remote_apply` and the like are left as they are.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
     WHERE current_setting('synchronous_commit') = 'off'";
/// A read is given up when whoever asked has long been told that it was. Its joins are written in
/// the order in which they are quick.
const READER: &str = "SET statement_timeout = '30s'; SET default_transaction_read_only = on; \
     SET idle_in_transaction_session_timeout = '60s'; SET join_collapse_limit = 1;";
/// The oldest version with all of these settings, and the least one that is still looked after.
const VERSION_LEAST: i32 = 14;
/// The first of the two numbers of our locks: "Down".
const LOCK: i32 = 0x446F_776E;
/// How long a server that starts waits for the lock of one that is just gone, milliseconds.
const LOCK_WAIT_MS: u32 = 3_000;
/// A table that every schema of ours has, whatever its version.
const OUR_TABLE: &str = "meta";
/// The table in which migrations are noted, made before the first of them runs.
const NOTES_TABLE: &str = "__diesel_schema_migrations";

/// What we ask of a server.
#[derive(Debug, QueryableByName)]
struct Server {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Bool)]
    in_recovery: bool,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Bool)]
    has_schema: bool,
    #[diesel(sql_type = Bool)]
    may_create: bool,
}

const SERVER: &str = "SELECT current_setting('server_version_num')::int / 10000 AS version, \
     current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS in_recovery, \
     current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes, \
     to_regnamespace($1) IS NOT NULL AS has_schema, \
     has_database_privilege(current_database(), 'CREATE') AS may_create";

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Nullable<Text>)]
    word: Option<String>,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Pid {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// A line to the server, as it is.
fn connected(address: &Address) -> Result<Conn, StoreError> {
    let url = with_line(address);
    Conn::establish(&url).map_err(|error| refused(address, &last_line(&error.to_string())))
}

/// The URL with what it does not say of the line.
pub(super) fn with_line(address: &Address) -> String {
    let mut url = address.url().to_owned();
    // A name of more than 63 bytes is cut off, so what tells two servers apart comes first.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = percent_encode(host.as_bytes(), NON_ALPHANUMERIC);
    let own = format!("downbeat%20{}%20{host}", std::process::id());
    let named = ("application_name", own.as_str());
    for (name, value) in LINE.into_iter().chain([named]) {
        let says = |option: &str| option.split('=').next() == Some(name);
        let options = url.split_once('?').map_or("", |(_, options)| options);
        if !options.split('&').any(says) {
            let sign = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{sign}{name}={value}"));
        }
    }
    url
}

/// libpq tells each host that it tried; the last line that is no addition says why nothing came of
/// it.
fn last_line(text: &str) -> String {
    let says_why = |line: &&str| {
        !line.is_empty() && !line.starts_with("DETAIL:") && !line.starts_with("HINT:")
    };
    let line = text.lines().map(str::trim).rfind(says_why);
    line.unwrap_or("it does not say why").to_owned()
}

fn refused(address: &Address, why: &str) -> StoreError {
    StoreError::Open { place: address.to_string(), reason: why.to_owned() }
}

/// A session that may write, without the lock.
fn settled(address: &Address) -> Result<Conn, StoreError> {
    let mut conn = connected(address)?;
    let path = format!("SET search_path TO {};", address.schema());
    conn.batch_execute(&format!("{path} {LINE_THERE} {PLANS} {WRITER} {DURABLE}"))?;
    Ok(conn)
}

/// The first session of a server that starts: looks at what is there, makes the schema where there
/// is none, and takes the lock.
///
/// # Errors
/// A sentence about what keeps this server from being used.
pub(super) fn first(address: &Address) -> Result<Conn, StoreError> {
    let mut conn = connected(address)?;
    let at_start = |error: StoreError| error.at_start(&address.to_string());
    let schema = address.schema();
    let query = sql_query(SERVER).bind::<Text, _>(schema);
    let server: Server = query.get_result(&mut conn).map_err(|e| at_start(e.into()))?;
    fit(&server).map_err(|why| refused(address, &why))?;
    if !server.has_schema {
        if !server.may_create {
            let user = sql_query("SELECT current_user::text AS word").get_result::<Word>(&mut conn);
            let user = user.ok().and_then(|user| user.word).unwrap_or_default();
            let why = format!(
                "there is no schema {schema}, and the role {user} may make none; as its owner: \
                 CREATE SCHEMA {schema} AUTHORIZATION \"{user}\""
            );
            return Err(refused(address, &why));
        }
        let make = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        conn.batch_execute(&make).map_err(|e| at_start(e.into()))?;
    }
    drop(conn);
    let mut conn = settled(address).map_err(at_start)?;
    lock(&mut conn, address, LOCK_WAIT_MS)?;
    through_no_pooler(address)?;
    ours(&mut conn, address)?;
    Ok(conn)
}

/// Another session of the same server, after the last one was lost: its backend is ended first, so
/// that what it may still be committing is over before anybody looks.
///
/// # Errors
/// When the server cannot be reached, or the lock is not had in time; then nobody knows what has
/// become of the last commit.
pub(super) fn again(address: &Address, old: Option<i32>) -> Result<Conn, StoreError> {
    let mut conn = settled(address).map_err(|error| match error {
        StoreError::Open { reason, .. } => StoreError::Transient(reason),
        other => other,
    })?;
    if let Some(old) = old {
        // The number may be another's by now: only a session of this program is ended.
        let end = sql_query(
            "SELECT pg_terminate_backend(pid) AS yes FROM pg_stat_activity \
             WHERE pid = $1 AND usename = current_user \
             AND application_name = current_setting('application_name')",
        );
        let _ended: Vec<Answer> = end.bind::<Integer, _>(old).load(&mut conn)?;
    }
    lock(&mut conn, address, LOCK_WAIT_MS).map_err(|error| match error {
        StoreError::Open { reason, .. } => StoreError::Transient(reason),
        other => other,
    })?;
    Ok(conn)
}

/// The number of a session's process there.
///
/// # Errors
/// What the server says.
pub(super) fn pid(conn: &mut Conn) -> Result<i32, StoreError> {
    let pid: Pid = sql_query("SELECT pg_backend_pid() AS pid").get_result(conn)?;
    Ok(pid.pid)
}

/// What a reader's session is set to.
pub(super) fn reader(address: &Address) -> String {
    let path = format!("SET search_path TO {};", address.schema());
    format!("{path} {LINE_THERE} {PLANS} {READER}")
}

/// Whether this server can be used; otherwise why not.
fn fit(server: &Server) -> Result<(), String> {
    if server.version < VERSION_LEAST {
        let version = server.version;
        return Err(format!("it is PostgreSQL {version}; {VERSION_LEAST} or newer is needed"));
    }
    if server.encoding != "UTF8" {
        let encoding = &server.encoding;
        return Err(format!(
            "its encoding is {encoding}; make a database with ENCODING 'UTF8' TEMPLATE template0"
        ));
    }
    if server.in_recovery {
        return Err("it is a standby, which cannot be written; name its primary".to_owned());
    }
    for (name, value) in [("fsync", &server.fsync), ("full_page_writes", &server.full_page_writes)]
    {
        if value == "off" {
            return Err(format!(
                "{name} is off there, so what it has said to be stored is lost when its machine \
                 fails; set it on"
            ));
        }
    }
    Ok(())
}

/// The number of the lock of a schema is made of its name by the server, since one lock has to be
/// the same for each version of this program.
fn lock_call(call: &str, schema: &str) -> String {
    format!("SELECT {call}({LOCK}, ('x' || substr(md5('{schema}'), 1, 8))::bit(32)::int)")
}

/// Takes the lock of a schema.
fn lock(conn: &mut Conn, address: &Address, wait_ms: u32) -> Result<(), StoreError> {
    let schema = address.schema();
    let call = lock_call("pg_advisory_lock", schema);
    let had = conn
        .batch_execute(&format!("SET lock_timeout = {wait_ms}; {call}; SET lock_timeout = '10s'"));
    let Err(error) = had else { return Ok(()) };
    let holder = sql_query(
        "SELECT application_name || ', process ' || a.pid || ', since ' \
         || to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS') AS word \
         FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1::int::oid \
         AND l.objid::bigint = ('x' || substr(md5($2), 1, 8))::bit(32)::bigint \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    let holder = holder.bind::<Integer, _>(LOCK).bind::<Text, _>(schema);
    match holder.get_result::<Word>(conn) {
        Ok(Word { word }) => {
            let word = word.unwrap_or_else(|| "somebody".to_owned());
            let why = format!(
                "another server uses the schema {schema}: {word}; stop it, or name another \
                 schema (?schema=…)"
            );
            Err(refused(address, &why))
        }
        Err(_) => Err(StoreError::from(error).at_start(&address.to_string())),
    }
}

/// A pooler that hands sessions out for one transaction each gives one lock to everybody.
fn through_no_pooler(address: &Address) -> Result<(), StoreError> {
    let mut other = settled(address)?;
    let call = format!("{} AS yes", lock_call("pg_try_advisory_lock", address.schema()));
    let had: Answer = sql_query(call).get_result(&mut other)?;
    if had.yes {
        let why = "a pooler stands before it and hands out sessions for one transaction each, so \
                   no lock holds; connect to it directly, or in session mode";
        return Err(refused(address, why));
    }
    Ok(())
}

/// Whether the schema is empty or ours.
fn ours(conn: &mut Conn, address: &Address) -> Result<(), StoreError> {
    let tables = sql_query("SELECT tablename::text AS word FROM pg_tables WHERE schemaname = $1");
    let tables: Vec<Word> = tables.bind::<Text, _>(address.schema()).load(conn)?;
    let mut tables = tables.into_iter().filter_map(|table| table.word);
    let others: Vec<String> = tables.by_ref().filter(|table| table != NOTES_TABLE).collect();
    match others.first() {
        Some(table) if !others.iter().any(|table| table == OUR_TABLE) => {
            Err(StoreError::Foreign { place: address.to_string(), table: table.clone() })
        }
        _ => Ok(()),
    }
}
