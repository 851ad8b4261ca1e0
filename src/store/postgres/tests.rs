//! The suite of all backends, and what a database can do to a store: be another's, be tampered with.
use super::databases::{self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, fresh};
use super::{NodeIdentity, Postgres, Settings};
use crate::memory::LockedKey;
use crate::random::SystemRandom;
use crate::seal::Table;
use crate::store::{Backend, Opening, Record, RowKeys, Store, StoreError, Verify, suite};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub(super) const CLUSTER: [u8; 16] = [7; 16];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thing {
    pub(super) text: String,
}

impl Record for Thing {
    const TABLE: Table = Table::new("thing");
}

pub(super) fn thing(text: &str) -> Thing {
    Thing { text: text.into() }
}

pub(super) fn settings(port: u16, schema: &str) -> Settings {
    let password = ADMINISTRATOR_PASSWORD.replace(' ', "%20").replace('\'', "%27");
    Settings {
        url: format!("postgresql://{ADMINISTRATOR}:{password}@{HOST}:{port}/postgres"),
        schema: schema.into(),
        tls: None,
        connections: 4,
    }
}

pub(super) fn node(id: &str) -> NodeIdentity {
    NodeIdentity { id: id.into(), name: id.into(), version: "test".into(), roots: Vec::new() }
}

pub(super) async fn backend(settings: &Settings, id: &str) -> Result<Postgres, StoreError> {
    Postgres::open(settings, CLUSTER, &node(id), true).await
}

fn keys(byte: u8) -> Arc<RowKeys> {
    let key = Arc::new(LockedKey::new(&[byte; 32]));
    Arc::new(RowKeys::new(CLUSTER, [(1, key)].into()).unwrap())
}

pub(super) async fn store(settings: &Settings, id: &str) -> Result<Store, StoreError> {
    store_within(settings, id, Duration::from_secs(1)).await
}

/// One whose knowledge of other nodes' commits may be so old.
pub(super) async fn store_within(
    settings: &Settings,
    id: &str,
    bound: Duration,
) -> Result<Store, StoreError> {
    let backend = Arc::new(backend(settings, id).await?);
    let opening = Opening { staleness: bound, ..Opening::default() };
    Store::open_with(backend, keys(1), Arc::new(SystemRandom), true, opening).await
}

pub(super) async fn put(store: &Store, name: &str, text: &str) -> Result<(), StoreError> {
    let mut tx = store.begin();
    tx.get::<Thing>(&[name]).await?;
    tx.put(&[name], thing(text))?;
    tx.commit().await
}

pub(super) async fn get(store: &Store, name: &str) -> Result<Option<String>, StoreError> {
    let found = store.begin().get::<Thing>(&[name]).await?;
    Ok(found.map(|thing| thing.text.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    let port = databases::postgres().port;
    suite::suite(async || {
        let settings = settings(port, &fresh("suite"));
        Arc::new(backend(&settings, "node").await.unwrap()) as Arc<dyn Backend>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_ours_is_refused() {
    let server = databases::postgres();
    let settings = settings(server.port, "ours");
    let refused = |opened: Result<Postgres, StoreError>| match opened.map(drop) {
        Err(StoreError::ReadOnly(text)) => text,
        other => panic!("{other:?}"),
    };
    let empty = Postgres::open(&settings, CLUSTER, &node("a"), false).await;
    assert!(refused(empty).contains("is empty"));
    drop(store(&settings, "a").await.unwrap());
    let other = Postgres::open(&settings, [8; 16], &node("b"), true).await;
    assert!(refused(other).contains("another deployment"));

    let backend = Arc::new(backend(&settings, "a").await.unwrap());
    put(&store(&settings, "b").await.unwrap(), "x", "1").await.unwrap();
    let other_keys = Store::open(backend, keys(2), Arc::new(SystemRandom), true).await;
    assert!(matches!(other_keys.map(drop), Err(StoreError::Corrupt(_))));

    server.execute("UPDATE ours.schema_version SET version = 2, compatible_from = 2").await;
    assert!(refused(super::tests::backend(&settings, "a").await).contains("version 2"));
    server.execute("UPDATE ours.schema_version SET version = 0, compatible_from = 0").await;
    assert!(refused(super::tests::backend(&settings, "a").await).contains("version 0"));
    server.execute("UPDATE ours.schema_version SET version = 2, compatible_from = 1").await;
    super::tests::backend(&settings, "a").await.unwrap();
    let wrong = Settings { schema: "x; DROP".into(), ..settings.clone() };
    assert!(super::tests::backend(&wrong, "a").await.is_err());
    let far = Settings { url: "postgresql://a@db.example/x?sslmode=disable".into(), ..settings };
    assert!(super::tests::backend(&far, "a").await.is_err(), "without TLS over the network");
}

/// What the URL says is done or refused, also where TLS is not needed; what it should not have said is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_cannot_be_followed_is_refused() {
    let plain = settings(databases::postgres().port, &fresh("url"));
    let refused = async |more: &str| {
        let url = format!("{}{more}", plain.url);
        match backend(&Settings { url, ..plain.clone() }, "a").await.map(drop) {
            Err(StoreError::Settings(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused("?sslmode=require").await.contains("no authorities"));
    let text = refused("?sslmodus=require").await;
    assert!(text.contains("sslmodus") && !text.contains("of the test"), "{text}");
    backend(&plain, "a").await.unwrap();
}

/// A number that somebody wrote into the database does not become this node's own.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_revision_is_not_gone_on_from() {
    let server = databases::postgres();
    let schema = fresh("high");
    let settings = settings(server.port, &schema);
    let running = store(&settings, "a").await.unwrap();
    for name in ["a", "b"] {
        put(&running, name, "1").await.unwrap();
    }
    let set = async |revision: &str| {
        let sql =
            format!("UPDATE {schema}.rows SET revision = {revision} WHERE key = 'thing\\000a'");
        server.execute(&sql).await;
    };
    server.execute(&format!("CREATE TABLE {schema}.old AS SELECT * FROM {schema}.rows")).await;
    set("9223372036854774784").await;
    let read = get(&running, "a").await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    let mut blind = running.begin();
    blind.put(&["a"], thing("2")).unwrap();
    let written = blind.commit().await;
    assert!(matches!(written, Err(StoreError::Corrupt(_))), "{written:?}");
    put(&running, "b", "2").await.unwrap();
    set(&format!("(SELECT revision FROM {schema}.old WHERE key = 'thing\\000a')")).await;
    drop(running);
    assert_eq!(
        get(&store(&settings, "a").await.unwrap(), "b").await.unwrap().as_deref(),
        Some("2")
    );
}

/// What an attacker with the database can do to rows is detected, at the latest at the next start.
#[tokio::test(flavor = "multi_thread")]
async fn tampering_is_detected() {
    let server = databases::postgres();
    let forgeries = [
        "UPDATE rows SET value = set_byte(value, 20, get_byte(value, 20) # 1) WHERE key = 'thing\\000a'",
        "UPDATE rows SET revision = revision + 1024 WHERE key = 'thing\\000a'",
        "DELETE FROM rows WHERE key = 'thing\\000a'",
        "INSERT INTO rows SELECT 'thing\\000c'::bytea, revision, value FROM rows WHERE key = 'thing\\000a'",
        "UPDATE rows a SET value = b.value, revision = b.revision FROM rows b \
         WHERE a.key = 'thing\\000a' AND b.key = 'thing\\000b'",
        "UPDATE head SET state = NULL",
        "UPDATE head SET state = set_byte(state, 20, get_byte(state, 20) # 1)",
        "UPDATE rows SET revision = o.revision, value = o.value FROM old o WHERE rows.key = o.key",
    ];
    for forgery in forgeries {
        let schema = fresh("forged");
        let settings = settings(server.port, &schema);
        let sound = store(&settings, "a").await.unwrap();
        put(&sound, "a", "1").await.unwrap();
        put(&sound, "b", "1").await.unwrap();
        let in_schema = |sql: &str| format!("SET search_path = pg_catalog, {schema}; {sql}");
        let old = format!("CREATE TABLE {schema}.old AS SELECT * FROM {schema}.rows");
        server.execute(&old).await;
        put(&sound, "a", "2").await.unwrap();
        drop(sound);
        server.execute(&in_schema(forgery)).await;
        let opened = store(&settings, "a").await;
        let found = match &opened {
            Ok(store) => get(store, "a").await.map(drop),
            Err(error) => Err(error.clone()),
        };
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{forgery}: {found:?}");
    }
}

/// The same by a node that looks while it serves, and what is right passes.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_compared_while_they_are_served() {
    let server = databases::postgres();
    let schema = fresh("beside");
    let settings = settings(server.port, &schema);
    put(&store(&settings, "a").await.unwrap(), "a", "1").await.unwrap();
    let serve = async || {
        let backend = Arc::new(backend(&settings, "a").await.unwrap());
        let opening = Opening { verify: Verify::WhileServing, ..Opening::default() };
        Store::open_with(backend, keys(1), Arc::new(SystemRandom), false, opening).await.unwrap()
    };
    let sound = serve().await;
    assert!(!sound.is_verified());
    put(&sound, "a", "2").await.unwrap();
    let old = format!("CREATE TABLE {schema}.old AS SELECT * FROM {schema}.rows");
    server.execute(&old).await;
    put(&sound, "a", "3").await.unwrap();
    assert!(sound.check_rows().await.unwrap());
    put(&sound, "b", "1").await.unwrap();
    drop(sound);
    let back =
        "UPDATE rows SET revision = o.revision, value = o.value FROM old o WHERE rows.key = o.key";
    server.execute(&format!("SET search_path = pg_catalog, {schema}; {back}")).await;
    let tampered = serve().await;
    assert_eq!(get(&tampered, "a").await.unwrap().as_deref(), Some("2"), "until it was looked at");
    put(&tampered, "b", "2").await.unwrap();
    assert!(matches!(tampered.check_rows().await, Err(StoreError::Corrupt(_))));
    assert!(matches!(get(&tampered, "a").await, Err(StoreError::Corrupt(_))));
    assert!(matches!(put(&tampered, "b", "3").await, Err(StoreError::Corrupt(_))));
}

/// While it runs, a node that finds the sealed state altered or gone back stops writing.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_went_back_stops_the_writes() {
    let server = databases::postgres();
    for forgery in [
        "UPDATE head SET state = (SELECT state FROM old)",
        "UPDATE head SET state = NULL",
        "UPDATE head SET state = '\\x00'",
        "UPDATE head SET sequence = 1",
    ] {
        let schema = fresh("state");
        let store = store(&settings(server.port, &schema), "a").await.unwrap();
        put(&store, "a", "1").await.unwrap();
        let old = format!("CREATE TABLE {schema}.old AS SELECT * FROM {schema}.head");
        server.execute(&old).await;
        put(&store, "a", "2").await.unwrap();
        server.execute(&format!("SET search_path = pg_catalog, {schema}; {forgery}")).await;
        let mut tx = store.begin_with(crate::store::Freshness::Bounded);
        tx.put(&["b"], thing("x")).unwrap();
        let written = tx.commit().await;
        assert!(matches!(written, Err(StoreError::Corrupt(_))), "{forgery}: {written:?}");
        let mut tx = store.begin_with(crate::store::Freshness::Bounded);
        tx.put(&["b"], thing("x")).unwrap();
        let written = tx.commit().await;
        assert!(matches!(written, Err(StoreError::ReadOnly(_))), "{forgery}: {written:?}");
    }
}

/// What believes this authority and no other.
fn believing(authority: &str) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_verified() {
    // Of its own: the other tests' connections are without TLS.
    let server = databases::Postgres::start();
    let authority = std::fs::read_to_string(&server.ca_file).unwrap();
    let plain = settings(server.port, &fresh("tls"));
    let settings = Settings { tls: Some(believing(&authority)), ..plain.clone() };
    let secure = store(&settings, "a").await.unwrap();
    put(&secure, "x", "1").await.unwrap();
    let all = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'claviger'";
    let client = server.administrator().await;
    assert!(client.query_one(all, &[]).await.unwrap().get::<_, bool>(0));
    let stranger = Settings { tls: Some(believing(&databases::stranger())), ..plain };
    assert!(matches!(backend(&stranger, "a").await.map(drop), Err(StoreError::Unavailable(_))));
}
